#!/bin/sh
# Runs the official SDKs, unmodified, through Outrigger against the simulator.
#
#   tests/clients/run.sh PATH-TO-OUTRIGGER [python|node]
#
# It builds nothing. The SDKs are installed beside the suites (git ignores them) and kept while their versions stay the
# same. Everything else lives in a directory of its own that is removed at the end; every port is a free one.
# Exits nonzero when any test fails.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
outrigger=${1:?usage: run.sh PATH-TO-OUTRIGGER [python|node]}
suites=${2:-python node}
# The suites are run from their own folders.
case $outrigger in
    /*) ;;
    *) outrigger=$PWD/$outrigger ;;
esac
work=$(mktemp -d)
running=

finish() {
    status=$?
    trap - EXIT INT TERM
    for process in $running; do kill "$process" 2>/dev/null || true; done
    for process in $running; do wait "$process" 2>/dev/null || true; done
    if [ "$status" -ne 0 ]; then
        for log in "$work"/*.log; do
            [ -s "$log" ] && echo "--- the end of $(basename "$log")" && tail -n 40 "$log"
        done >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME ARGS...: runs the binary in the background, and waits for its ready file.
start() {
    name=$1
    shift
    "$outrigger" "$@" --ready-file "$work/$name.ready" >"$work/$name.log" 2>&1 &
    process=$!
    running="$running $process"
    tries=0
    until [ -s "$work/$name.ready" ]; do
        kill -0 "$process" 2>/dev/null || { echo "run.sh: $name ended before it was ready" >&2; exit 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "run.sh: $name was not ready in 10 s" >&2; exit 1; }
        sleep 0.05
    done
}

# ready NAME KEY: one address out of a ready file.
ready() { sed -n "s/^$2=//p" "$work/$1.ready"; }

# Each tenant's key, and what of it stands in the config.
new_key() {
    "$outrigger" keys new >"$work/$1.key" || { echo 'run.sh: `keys new` failed' >&2; exit 1; }
    sed -n 's/^key *//p' "$work/$1.key" >"$work/$1.secret"
    sed -n 's/^hash *//p' "$work/$1.key" >"$work/$1.hash"
    [ -s "$work/$1.secret" ] && [ -s "$work/$1.hash" ] || { echo 'run.sh: `keys new` printed no key and hash' >&2; exit 1; }
}

install_python() {
    cd "$here/python"
    cmp -s requirements.txt .venv/installed.txt && return
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
    cp requirements.txt .venv/installed.txt
}

install_node() {
    cd "$here/node"
    cmp -s package-lock.json node_modules/.installed.json && return
    npm ci --silent --no-audit --no-fund
    cp package-lock.json node_modules/.installed.json
}

for suite in $suites; do "install_$suite"; done
for tenant in acme limited strict; do new_key "$tenant"; done

start simulate simulate --listen 127.0.0.1:0
simulator=$(ready simulate simulator)

cat >"$work/outrigger.toml" <<EOF
[listen]
proxy     = "127.0.0.1:0"
telemetry = "127.0.0.1:0"
admin     = "off"

[identity]
accept = ["key"]

[upstreams.openai]
dialect = "openai"
url     = "http://$simulator"
key     = "the-provider-key"
stamp   = "header"
trust   = "internal"

[upstreams.anthropic]
dialect = "anthropic"
url     = "http://$simulator"
key     = "the-provider-key"

[policies.wide]
endpoints.allow = ["*"]

[policies.narrow]
models.allow        = ["gpt-sim", "claude-sim"]
hosted_tools.allow  = []

[tenants.acme]
keys   = ["$(cat "$work/acme.hash")"]
policy = "wide"
limits = { requests = "1000/s", tokens = "100M/min", streams = 100 }

[tenants.limited]
keys   = ["$(cat "$work/limited.hash")"]
policy = "wide"
limits = { requests = "2/min" }

[tenants.strict]
keys   = ["$(cat "$work/strict.hash")"]
policy = "narrow"
EOF

start serve serve --config "$work/outrigger.toml"

OUTRIGGER_URL="http://$(ready serve proxy)"
OUTRIGGER_KEY=$(cat "$work/acme.secret")
OUTRIGGER_KEY_LIMITED=$(cat "$work/limited.secret")
OUTRIGGER_KEY_STRICT=$(cat "$work/strict.secret")
SIMULATOR_URL="http://$simulator"
export OUTRIGGER_URL OUTRIGGER_KEY OUTRIGGER_KEY_LIMITED OUTRIGGER_KEY_STRICT SIMULATOR_URL

# What the SDKs would take from the caller's own environment.
unset OPENAI_API_KEY OPENAI_BASE_URL OPENAI_CUSTOM_HEADERS OPENAI_ORG_ID OPENAI_PROJECT_ID
unset ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL ANTHROPIC_CUSTOM_HEADERS
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy

run_python() { cd "$here/python" && PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m unittest discover; }
run_node() { cd "$here/node" && node --test --test-reporter=spec; }

failed=
for suite in $suites; do
    echo "== $suite"
    "run_$suite" || failed="$failed $suite"
done
[ -z "$failed" ] || { echo "run.sh: failed:$failed" >&2; exit 1; }
