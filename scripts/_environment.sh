# Sourced by demo and test: `prepare EXTRA` makes or reuses .venv in the repository's root, with vscugan in it.

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

works() { # a candidate may exist and still refuse to run (a pyenv shim), be too old, or lack venv
    "$1" -c 'import sys, ssl, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3 \
        /usr/local/bin/python3.* "$HOME"/.local/share/uv/python/*/bin/python3 /opt/python*/bin/python3; do
        if [ -n "$candidate" ] && works "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "vscugan needs Python 3.12 or newer with venv, and found none that runs." \
        "Get one by one of:" \
        "  apt-get install python3.12 python3.12-venv python3.12-dev   (Debian 13: python3 python3-venv python3-dev)" \
        "  pyenv install 3.12" \
        "  uv python install 3.12" \
        "then run this again; PYTHON=/path/to/python3.12 names one that is elsewhere."
}

has_compiler() {
    local candidate
    for candidate in "${CXX:-}" c++ g++ clang++; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null; then return; fi
    done
    fail "vscugan needs a C++ compiler to build its plugin, and found none." \
        "Get one by: apt-get install g++      (Fedora: dnf install gcc-c++), or name yours by CXX=..."
}

has_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' && return
    fail "vscugan needs the headers of $("$1" --version) to build its plugin, and found no Python.h." \
        "Get them by: apt-get install python3-dev      (or python3.12-dev, for the version that is used)"
}

sources_stamp() { # changes with whatever the installed package is made from
    find pyproject.toml setup.py vscugan weights -type f -not -path '*/__pycache__/*' -print0 | sort -z |
        xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
}

prepare() {
    local extra=$1 stamp dependencies
    unset PYTHONPATH PYTHONHOME
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    if ! works .venv/bin/python; then
        local python
        python=$(find_python)
        echo "Making .venv with $("$python" --version)"
        rm -rf .venv
        "$python" -m venv .venv
    fi
    export VIRTUAL_ENV="$PWD/.venv" PATH="$PWD/.venv/bin:$PATH"
    stamp="$(sources_stamp)"
    dependencies="$(sha256sum pyproject.toml | cut -d ' ' -f 1) $extra"
    if ! grep -qxF "$dependencies" .venv/vscugan-dependencies 2>/dev/null; then
        has_compiler
        has_headers .venv/bin/python
        echo "Installing vscugan and what it needs (the first time this loads about 3 GB: torch)"
        .venv/bin/pip install --quiet ".[$extra]"
        echo "$dependencies" >>.venv/vscugan-dependencies
        echo "$stamp" >.venv/vscugan-sources
    elif [ "$(cat .venv/vscugan-sources 2>/dev/null)" != "$stamp" ]; then
        has_compiler
        has_headers .venv/bin/python
        echo "Installing the changed vscugan"
        .venv/bin/pip install --quiet --no-deps --force-reinstall .
        echo "$stamp" >.venv/vscugan-sources
    fi
}
