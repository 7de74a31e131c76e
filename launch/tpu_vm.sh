#!/usr/bin/env bash
# Trains on every worker of a Cloud TPU VM slice, and starts again after a preemption.
#
#   TPU=my-tpu ZONE=us-central2-b launch/tpu_vm.sh --config=configs/depth_kitti.py:mono \
#       --workdir=/mnt/runs/kitti --config.data.root=/mnt/data/kitti_raw
#
# Settings in the environment:
#   TPU, ZONE    the slice; PROJECT where it isn't gcloud's default
#   TYPE         accelerator type, as in v4-32: makes the slice if it is missing or was preempted
#   VERSION      its software (default: tpu-ubuntu2204-base)
#   SPOT=1       makes it from spare capacity: cheaper, preempted at times
#   SETUP        a command run on every worker first, such as one that mounts --workdir
#   WAIT         seconds between attempts (default: 60)
#
# --workdir must be a folder that all workers see: Filestore, or a bucket mounted by gcsfuse.
# Needs gcloud, signed in. This checkout is copied to ~/geoseg_jax on every worker.
set -euo pipefail

: "${TPU:?name of the TPU VM}" "${ZONE:?its zone}"
where=(--zone="$ZONE")
if [[ -n ${PROJECT:-} ]]; then where+=(--project="$PROJECT"); fi
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
archive=$(mktemp -d)
trap 'rm -rf "$archive"' EXIT

tpu() { gcloud compute tpus tpu-vm "$1" "$TPU" "${where[@]}" "${@:2}"; }
on_all() { tpu ssh --worker=all --command="$1"; }
state() { tpu describe --format='value(state)' 2>/dev/null || echo MISSING; }

# READY or made so; fails where there is no way to.
ensure() {
  local now
  now=$(state)
  if [[ $now == READY ]]; then return; fi
  if [[ -z ${TYPE:-} ]]; then
    echo "tpu_vm.sh: $TPU is $now; set TYPE to have it made anew" >&2
    exit 1
  fi
  if [[ $now != MISSING ]]; then tpu delete --quiet || true; fi
  local options=(--accelerator-type="$TYPE" --version="${VERSION:-tpu-ubuntu2204-base}")
  if [[ -n ${SPOT:-} ]]; then options+=(--spot); fi
  echo "tpu_vm.sh: making $TPU ($TYPE)" >&2
  tpu create "${options[@]}"
}

install() {
  git -C "$checkout" ls-files -z | tar -C "$checkout" --null -T - -czf "$archive/geoseg_jax.tgz" &&
    gcloud compute tpus tpu-vm scp "$archive/geoseg_jax.tgz" "$TPU": --worker=all "${where[@]}" &&
    on_all "mkdir -p geoseg_jax && tar -xzf geoseg_jax.tgz -C geoseg_jax &&
      (test -d env || python3 -m venv env) && env/bin/pip install -q -e './geoseg_jax[tpu]'" &&
    on_all "${SETUP:-true}"
}

# What outlived a lost connection is asked to save and leave first: it holds the TPU.
command="if [ -f run.pid ] && kill -TERM \$(cat run.pid) 2>/dev/null; then
    tail --pid=\$(cat run.pid) -f /dev/null; fi; cd geoseg_jax;
  ../env/bin/python -m geoseg_jax.main --coordinator=auto $(printf '%q ' "$@") &
  echo \$! >../run.pid; wait \$!"
# gcloud does not pass the workers' exit codes on faithfully, so they leave a word.
marker=GEOSEG_JAX_FAILED
installed=
while true; do
  if ! ensure; then
    echo "tpu_vm.sh: could not make $TPU; trying again in ${WAIT:-60} s" >&2
    sleep "${WAIT:-60}"
    continue
  fi
  if [[ -z $installed ]]; then
    if install; then
      installed=1
    elif [[ $(state) == READY ]]; then
      echo "tpu_vm.sh: could not install on $TPU, see above" >&2
      exit 1
    else
      continue
    fi
  fi
  log=$archive/log
  # Exit code 1 is an error that another start would meet again.
  if on_all "$command; code=\$?; if [ \$code = 1 ]; then echo $marker; fi; exit \$code" 2>&1 |
    tee "$log"; then
    echo "tpu_vm.sh: finished" >&2
    exit 0
  fi
  if [[ $(state) == READY ]] && grep -q "$marker" "$log"; then
    echo "tpu_vm.sh: the training failed, see above" >&2
    exit 1
  fi
  # After a preemption the workers are new ones.
  if [[ $(state) != READY ]]; then installed=; fi
  echo "tpu_vm.sh: interrupted ($(state)); starting again in ${WAIT:-60} s" >&2
  sleep "${WAIT:-60}"
done
