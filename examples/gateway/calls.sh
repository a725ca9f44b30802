#!/bin/sh
# Calls as the gateway makes them. Prints a status and, for a refusal, its code.
set -eu

socket=${RUN_DIR:-/run/outrigger}/gateway.sock

# call TEXT [curl arguments]
call() {
    text=$1
    shift
    answer=$(curl -sS -o /dev/null -D - --unix-socket "$socket" -H 'content-type: application/json' "$@" \
        -d '{"model":"gpt-5.6-luna","messages":[{"role":"user","content":"Hello"}]}' http://localhost/openai/v1/chat/completions)
    status=$(printf '%s' "$answer" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
    code=$(printf '%s' "$answer" | sed -n 's/^outrigger-code: \([a-z-]*\).*/\1/p')
    echo "$text: $status $code"
}

call "for customer-acme" -H 'x-tenant-id: customer-acme'
call "for customer-globex" -H 'x-tenant-id: customer-globex'
call "for somebody it does not vouch for" -H 'x-tenant-id: back-office'
call "for a customer that is not there" -H 'x-tenant-id: customer-nobody'
call "for two at once" -H 'x-tenant-id: customer-acme' -H 'x-tenant-id: customer-globex'
call "for nobody but itself"
