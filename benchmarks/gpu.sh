#!/usr/bin/env bash
# All figures that need a GPU, in about ten minutes: benchmarks/gpu.sh OUT
#
# Needs an environment with jax for the GPU and PyTorch (pip install -e '.[cuda,bench]'). Each
# figure is a JSON file in OUT; a command that fails or takes too long is told, and the rest goes on.
set -uo pipefail
out=${1:?usage: benchmarks/gpu.sh OUT}
cd "$(dirname "$0")/.." || exit
mkdir -p "$out"
out=$(realpath "$out")
python=${PYTHON:-python}
export XLA_PYTHON_CLIENT_PREALLOCATE=false

run() { # NAME SECONDS COMMAND...
  local name=$1 seconds=$2
  shift 2
  echo "== $name: $*"
  if ! timeout "$seconds" "$@" > "$out/$name.log" 2>&1; then
    echo "$name failed or took more than $seconds s:"
    tail -n 5 "$out/$name.log"
  fi
}

step() { # NAME CONFIG SETTINGS...
  local name=$1 config=$2
  shift 2
  run "$name" 150 "$python" benchmarks/step.py "$config" --json "$out/$name.json" \
    --rounds 50 --set model.compute_dtype=bfloat16 "$@"
}

"$python" -c 'import jax; print(jax.devices())' | tee "$out/devices.txt"
nvidia-smi > "$out/nvidia-smi.txt" 2>&1

twin() { # TASK BATCH TWINS...
  local task=$1 batch=$2
  shift 2
  run "twin_${task}_$batch" 300 "$python" benchmarks/train_step.py --task "$task" --batch "$batch" \
    --device gpu --rounds 20 --twins "$@" --json "$out/twin_${task}_$batch.json"
}

# Against PyTorch: torch.compile, bfloat16, channels_last.
twin depth 12 compiled compiled_bfloat16
twin segmentation 16 compiled_bfloat16
twin flow 8 compiled_bfloat16

depth=configs/depth_synthetic.py:mono
size="data.height=192 data.width=640"
# shellcheck disable=SC2086
{
  step depth_12 $depth $size train.batch_size=12
  step depth_64 $depth $size train.batch_size=64
  step flow_8 configs/flow_synthetic.py:strong $size train.batch_size=8
  step segment_16 configs/segment_synthetic.py:resolution=640x192 train.batch_size=16
  step segment_vit_16 configs/segment_synthetic.py:resolution=640x192,encoder=vit_s16 train.batch_size=16
}

# Cells of a study, one at a time, eight by processes, eight as one program: first what compiles.
cells() { # NAME PROCESSES STACK
  JAX_COMPILATION_CACHE_DIR="$out/compiled" run "$1" 120 "$python" -m geoseg_jax.study \
    --config=configs/study_quick.py --workdir="$out/$1" --processes="$2" --stack="$3" \
    --config.factors.replicate="(0,1,2,3,4,5,6,7)" --config.factors.labels="(8,)" \
    --config.without="('classification','depth_mono','flow_strong')"
  grep -h " jobs in " "$out/$1.log"
}
cells study_cold 8 1
cells study_processes_8 8 1
cells study_stack_cold 1 8
cells study_stack_8 1 8
cells study_1 1 1

run input_pipeline 120 "$python" -m benchmarks.input_pipeline --seconds=3 --json="$out/input_pipeline.json"

"$python" - "$out" <<'PYTHON'
import json, pathlib, sys

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    figures = json.loads(path.read_text())
    shown = {k: v for k, v in figures.items() if isinstance(v, int | float)}
    print(path.stem, *(f"{k} {v:.4g}" for k, v in shown.items()), sep="\n  ")
PYTHON
