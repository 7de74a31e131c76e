#!/usr/bin/env bash
# Trains on every worker of a Cloud TPU VM slice, and starts again after a preemption.
#
#   TPU=my-tpu ZONE=us-central2-b TYPE=v4-32 launch/tpu_vm.sh --config=configs/depth_kitti.py:mono \
#       --workdir=/mnt/runs/kitti --config.data.root=/mnt/data/kitti_raw --batch_per_device=1
#
# A v4-32 has 16 devices, which the config's 12 examples a step do not divide over.
#
# Settings in the environment:
#   TPU, ZONE    the slice; PROJECT where it isn't gcloud's default
#   TYPE         accelerator type, as in v4-32, v5litepod-16, v5p-32, v6e-16: the slice is queued for
#                where it is missing or was preempted
#   VERSION      its software (default: the one for that type)
#   SPOT=1       queues for spare capacity: cheaper, preempted at times
#   PYTHON       version that uv installs (default: 3.12; the images' own is 3.10, too old)
#   SETUP        a command run on every worker first, such as one that mounts --workdir
#   WAIT         seconds between attempts (default: 60)
#
# --workdir must be a folder that all workers see: Filestore, or a bucket mounted by gcsfuse.
# Needs gcloud, signed in. This checkout is copied to ~/geoseg_jax on every worker.
set -euo pipefail

: "${TPU:?name of the TPU VM}" "${ZONE:?its zone}"
where=(--zone="$ZONE")
if [[ -n ${PROJECT:-} ]]; then where+=(--project="$PROJECT"); fi
case ${TYPE:-} in
  v6e-*) software=v2-alpha-tpuv6e ;;
  v5p-*) software=v2-alpha-tpuv5 ;;
  v5litepod-* | v5e-*) software=v2-alpha-tpuv5-lite ;;
  *) software=tpu-ubuntu2204-base ;;
esac
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
archive=$(mktemp -d)
trap 'rm -rf "$archive"' EXIT

tpu() { gcloud compute tpus tpu-vm "$1" "$TPU" "${where[@]}" "${@:2}"; }
on_all() { tpu ssh --worker=all --command="$1"; }
state() { tpu describe --format='value(state)' 2>/dev/null || echo MISSING; }
queued() { gcloud compute tpus queued-resources "$1" "$TPU" "${where[@]}" "${@:2}"; }
place() { queued describe --format='value(state.state)' 2>/dev/null || echo MISSING; }

# Whether it is READY; else it is queued for, anew where the queue has nothing more to give.
ensure() {
  local now waits
  now=$(state)
  if [[ $now == READY ]]; then return; fi
  if [[ -z ${TYPE:-} ]]; then
    echo "tpu_vm.sh: $TPU is $now; set TYPE to have it made anew" >&2
    exit 1
  fi
  waits=$(place)
  case "$waits $now" in
    CREATING* | ACCEPTED* | WAITING_FOR_RESOURCES* | PROVISIONING* | SUSPENDING* | DELETING* | \
      "ACTIVE CREATING" | "ACTIVE STARTING" | "ACTIVE RESTARTING" | "ACTIVE REPAIRING")
      echo "tpu_vm.sh: $TPU ($TYPE) is queued for: $waits" >&2
      return 1
      ;;
  esac
  if [[ $waits != MISSING ]]; then
    queued delete --force --quiet || true # with the slice that it gave
  elif [[ $now != MISSING ]]; then
    tpu delete --quiet || true
  fi
  local options=(--accelerator-type="$TYPE" --runtime-version="${VERSION:-$software}")
  if [[ -n ${SPOT:-} ]]; then options+=(--spot); fi
  echo "tpu_vm.sh: queueing for $TPU ($TYPE, ${VERSION:-$software})" >&2
  if ! queued create --node-id="$TPU" "${options[@]}"; then
    echo "tpu_vm.sh: could not queue for $TPU, see above" >&2
  fi
  return 1
}

install() {
  git -C "$checkout" ls-files -z | tar -C "$checkout" --null -T - -czf "$archive/geoseg_jax.tgz" &&
    gcloud compute tpus tpu-vm scp "$archive/geoseg_jax.tgz" "$TPU": --worker=all "${where[@]}" &&
    on_all "mkdir -p geoseg_jax && tar -xzf geoseg_jax.tgz -C geoseg_jax &&
      (test -x .local/bin/uv || curl -LsSf https://astral.sh/uv/install.sh | sh) &&
      (test -d env || .local/bin/uv venv --python ${PYTHON:-3.12} env) &&
      .local/bin/uv pip install -q --python env/bin/python -e './geoseg_jax[tpu]'" &&
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
again=0 # runs in a row that ended within an hour, on a slice that is READY
while true; do
  if ! ensure; then
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
  began=$SECONDS
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
  if [[ $(state) != READY ]]; then
    installed=
    again=0
  elif ((SECONDS - began > 3600)); then
    again=0
  elif ((++again > 3)); then
    echo "tpu_vm.sh: the training ended early $again times in a row on $TPU, which is READY;" \
      "see above, and repeat the command to go on" >&2
    exit 1
  fi
  echo "tpu_vm.sh: interrupted ($(state)); starting again in ${WAIT:-60} s" >&2
  sleep "${WAIT:-60}"
done
