#!/usr/bin/env bash
# Build sdist and wheel, check them, and use the wheel in bare environments: each extra
# alone, a type-checked script, the test suite.
# Usage: scripts/check_package.sh [--no-tests]
# Environment: PYTHON, WORK (an empty folder to work in; default: a temporary one)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
python=${PYTHON:-python3}
work=${WORK:-$(mktemp -d)}
extras=(none text plot video frame export distributed demo all)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MPLBACKEND=Agg

say() { echo "== $*"; }

environment() { # NAME REQUIREMENT...: a bare environment with these
    "$python" -m venv --clear "$work/$1"
    "$work/$1/bin/python" -m pip install -qq --no-compile -c "$root/constraints.txt" "${@:2}"
}

say "build"
environment tools "build>=1.2" "twine>=6" "mypy>=1.13" "numpy>=2"
"$work/tools/bin/python" -m build --outdir "$work/dist" "$root" >"$work/build.log" 2>&1 ||
    { tail -n 20 "$work/build.log"; exit 1; }
ls "$work/dist"
"$work/tools/bin/python" -m twine check --strict "$work"/dist/*
wheel=$(echo "$work"/dist/*.whl)

cd "$work" # away from the checkout, so that only the wheel is found
for extra in "${extras[@]}"; do
    wanted=$wheel
    [ "$extra" = none ] || wanted="$wheel[$extra]"
    environment user "$wanted"
    say "$extra: $("$work/user/bin/python" -m pip list 2>/dev/null | tail -n +3 | wc -l) packages, $(
        "$work/user/bin/python" -W error::ImportWarning "$root/scripts/try_wheel.py" "$extra"
    )"
done

say "types of a user's script"
"$work/tools/bin/python" -m mypy --strict --python-executable "$work/user/bin/python" \
    "$root/tests/typing/user_script.py"

if [ "${1:-}" != --no-tests ]; then
    say "tests from the installed wheel"
    environment tests "$wheel[test]"
    # The tests of the sdist, without the package that lies beside them.
    rm -rf "$work/source" && mkdir "$work/source"
    tar -xzf "$work"/dist/*.tar.gz -C "$work/source" --strip-components 1
    rm -r "$work/source/sklvyso"
    cd "$work/source"
    "$work/tests/bin/python" -c 'import sklvyso; assert "site-packages" in sklvyso.__file__'
    "$work/tests/bin/python" -m pytest -n 2 -q tests
fi
say "all is well; $work may be removed"
