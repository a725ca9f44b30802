#!/bin/sh
# The same calls by two tenants, whose keys are in ACME_KEY and GLOBEX_KEY. Prints a status and, for a refusal, its code.
set -eu

at=${OUTRIGGER_URL:-http://127.0.0.1:8470}

# call TEXT PATH MODEL [curl arguments]
call() {
    text=$1 path=$2 model=$3
    shift 3
    answer=$(curl -sS -o /dev/null -D - -H 'content-type: application/json' "$@" \
        -d "{\"model\":\"$model\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}" "$at$path")
    status=$(printf '%s' "$answer" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
    code=$(printf '%s' "$answer" | sed -n 's/^outrigger-code: \([a-z-]*\).*/\1/p')
    echo "$text: $status $code"
}

acme="authorization: Bearer $ACME_KEY"
globex="authorization: Bearer $GLOBEX_KEY"

call "acme, a large model in the us" /openai/v1/chat/completions gpt-5.6-sol -H "$acme"
call "globex, the same" /openai-eu/v1/chat/completions gpt-5.6-sol -H "$globex"
call "globex, a small model in the us" /openai/v1/chat/completions gpt-5.6-luna -H "$globex"
call "globex, a small model in the eu" /openai-eu/v1/chat/completions gpt-5.6-luna -H "$globex"
call "globex, an old model that is rewritten" /openai-eu/v1/chat/completions gpt-4o -H "$globex"
call "globex, its key in the path" "/t/$GLOBEX_KEY/openai-eu/v1/chat/completions" gpt-5.6-luna
call "both keys at once" /openai-eu/v1/chat/completions gpt-5.6-luna -H "$globex" -H "x-api-key: $ACME_KEY"
call "nobody" /openai/v1/chat/completions gpt-5.6-luna
