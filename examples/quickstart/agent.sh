#!/bin/sh
# An agent of five calls, to be run by `outrigger run`, which tells it where to call and with which key:
#
#   outrigger run --simulate -- sh examples/quickstart/agent.sh
#
# It knows nothing of Outrigger: a base URL and an API key, like any program that speaks to a provider.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# post URL BODY [curl arguments]: calls, and keeps head and body of the answer.
post() {
    url=$1 body=$2
    shift 2
    status=$(curl -sSN -o "$work/body" -D "$work/head" -w '%{http_code}' \
        -H 'content-type: application/json' -d "$body" "$@" "$url")
    echo >>"$work/body"
}

# The texts of an event stream, put together.
streamed() {
    sed -n 's/^data: .*"delta":{[^}]*"content":"\([^"]*\)".*/\1/p' "$work/body" | tr -d '\n'
}

# What the answer was: its status, and for a refusal its code, reason and rule.
outcome() {
    code=$(sed -n 's/^outrigger-code: \([a-z-]*\).*/\1/p' "$work/head")
    echo "   $status ${code:-answered by the model}"
    if [ -n "$code" ]; then
        sed -n 's/.*"message":"\([^"]*\)".*/   why:  \1/p' "$work/body"
        sed -n 's/.*"rule":"\([^"]*\)".*/   rule: \1/p' "$work/body"
    fi
}

hello='"messages":[{"role":"user","content":"Hello"}]'
openai="authorization: Bearer $OPENAI_API_KEY"

echo "1. a streamed call"
post "$OPENAI_BASE_URL/chat/completions" "{\"model\":\"gpt-5.6-luna\",\"stream\":true,$hello}" -H "$openai"
outcome
echo "   $(streamed)"

echo "2. the same call, with a key that is not this agent's"
post "$OPENAI_BASE_URL/chat/completions" "{\"model\":\"gpt-5.6-luna\",\"stream\":true,$hello}" -H "authorization: Bearer sk-stolen"
outcome

echo "3. a larger model"
post "$OPENAI_BASE_URL/chat/completions" "{\"model\":\"gpt-5.6-sol\",$hello}" -H "$openai"
outcome

echo "4. a tool that searches the web from the provider's side"
post "$OPENAI_BASE_URL/responses" '{"model":"gpt-5.6-luna","input":"Hello","tools":[{"type":"web_search"}]}' -H "$openai"
outcome

echo "5. the other provider"
post "$ANTHROPIC_BASE_URL/v1/messages" "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":256,$hello}" \
    -H "x-api-key: $ANTHROPIC_API_KEY" -H 'anthropic-version: 2023-06-01'
outcome
