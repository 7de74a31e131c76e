#!/usr/bin/env bash
# Runs N processes of one training on this machine, joined over loopback.
#
#   launch/local.sh N --config=configs/quickstart.py --workdir=W ...
#
# Settings in the environment:
#   DEVICES=4   virtual CPU devices of each process (default: what jax finds)
#   GPUS=1      process i sees GPU i alone
#   PYTHON      the interpreter (default: python, or python3)
#   PROGRAM     the command (default: $PYTHON -m geoseg_jax.main)
#   PORT        of the coordinator (default: a free one)
#   GRACE=60    seconds that the others get to save once one has left after a signal
#
# Ctrl-C, SIGTERM or a closed session (SIGHUP): all processes save at the same step and leave; a
# second time: all are killed.
# Where one process fails, the others, which can't go on without it, are killed.
# Exit code: 0 if all finished, else that of the first process that did not.
set -euo pipefail
# Every process gets a group of its own, so that a Ctrl-C reaches this script alone, and the
# processes once, through it.
set -m

if [[ ! ${1:-} =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2
  exit 2
fi
count=$1
shift
python=${PYTHON:-$(command -v python || command -v python3 || echo python)}
read -r -a program <<<"${PROGRAM:-$python -m geoseg_jax.main}"
free_port='import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
port=${PORT:-$("$python" -c "$free_port")}
if [[ -n ${DEVICES:-} ]]; then
  export JAX_PLATFORMS=cpu JAX_NUM_CPU_DEVICES=$DEVICES
fi

pids=()
signals=0
# shellcheck disable=SC2317,SC2329  # called by the trap
forward() {
  signals=$((signals + 1))
  local name=TERM
  if ((signals > 1)); then name=KILL; fi
  for pid in "${pids[@]}"; do kill -"$name" "$pid" 2>/dev/null || true; done
}
trap forward INT TERM HUP

for ((i = 0; i < count; i++)); do
  if [[ -n ${GPUS:-} ]]; then export CUDA_VISIBLE_DEVICES=$i; fi
  "${program[@]}" "$@" --coordinator="127.0.0.1:$port" --num_processes="$count" \
    --process_id="$i" </dev/null &
  pids+=($!)
done

status=0
deadline=
left=("${pids[@]}")
while ((${#left[@]})); do
  still=()
  for pid in "${left[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then
      still+=("$pid")
      continue
    fi
    code=0
    wait "$pid" || code=$?
    if ((code != 0 && status == 0)); then
      status=$code
      # 143, 130 and 129: it was stopped and has saved, and the others are about to; or it was stopped
      # before the first step, and the others wait for it in vain.
      if ((code == 143 || code == 130 || code == 129)); then
        deadline=$((SECONDS + ${GRACE:-60}))
      else
        echo "local.sh: a process failed with exit code $code; ending the others" >&2
        for other in "${pids[@]}"; do kill -KILL "$other" 2>/dev/null || true; done
      fi
    fi
  done
  left=(${still[@]+"${still[@]}"})
  if [[ -n $deadline ]] && ((SECONDS > deadline)); then
    for other in "${left[@]}"; do kill -KILL "$other" 2>/dev/null || true; done
  fi
  # In the background, since Ctrl-C goes to what runs in the foreground, which is to be this script.
  if ((${#left[@]})); then
    sleep 0.1 &
    wait $! || true
  fi
done
exit "$status"
