// What Outrigger refuses: seen through the SDKs' own error classes, never retried when that cannot help, and never
// seen by the provider.

import assert from 'node:assert/strict';
import test from 'node:test';

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

import { ANTHROPIC_BASES, HELLO, LIMITED, OPENAI_BASES, STRICT, Trace, raised } from './world.js';

function open(apiKey, more = {}) {
  const trace = new Trace();
  return {
    trace,
    openai: new OpenAI(trace.options({ apiKey, baseURL: OPENAI_BASES[0], ...more })),
    anthropic: new Anthropic(trace.options({ apiKey, baseURL: ANTHROPIC_BASES[0], ...more })),
  };
}

const chat = (model) => ({ model, messages: HELLO });
const message = (model) => ({ model, messages: HELLO, max_tokens: 9 });

test('a denied model', async () => {
  const { trace, openai, anthropic } = open(STRICT);
  await openai.chat.completions.create(chat('gpt-sim'));
  trace.attempts = [];
  const denied = open(STRICT);
  for (const call of [
    () => denied.openai.chat.completions.create(chat('gpt-denied')),
    () => denied.openai.chat.completions.create({ ...chat('gpt-denied'), stream: true }),
    () => denied.openai.responses.create({ model: 'gpt-denied', input: 'hi' }),
  ]) {
    const error = await raised(OpenAI.PermissionDeniedError, call);
    assert.ok(error.code, "in the provider's own member, too");
    assert.match(error.message, /gpt-denied/);
    await denied.trace.assertRefused(error, 'model-denied');
  }
  await anthropic.messages.create(message('claude-sim'));
  const error = await raised(Anthropic.PermissionDeniedError, () => denied.anthropic.messages.create(message('claude-denied')));
  assert.deepEqual([error.error.type, error.error.error.type], ['error', 'permission_error']);
  assert.equal(error.error.outrigger.code, 'model-denied');
  await denied.trace.assertRefused(error, 'model-denied');
});

test('a hosted tool', async () => {
  const { trace, openai, anthropic } = open(STRICT);
  const searched = () => openai.responses.create({ model: 'gpt-sim', input: 'hi', tools: [{ type: 'web_search' }] });
  await trace.assertRefused(await raised(OpenAI.PermissionDeniedError, searched), 'hosted-tool-denied');
  const tools = [{ type: 'web_search_20260318', name: 'web_search' }];
  const fetched = () => anthropic.messages.create({ ...message('claude-sim'), tools });
  await trace.assertRefused(await raised(Anthropic.PermissionDeniedError, fetched), 'hosted-tool-denied');
});

test('an unknown key', async () => {
  const { trace, openai, anthropic } = open('or_nobody');
  const asked = () => openai.chat.completions.create(chat('gpt-sim'));
  await trace.assertRefused(await raised(OpenAI.AuthenticationError, asked), 'identity-unknown');
  const messaged = () => anthropic.messages.create(message('claude-sim'));
  await trace.assertRefused(await raised(Anthropic.AuthenticationError, messaged), 'identity-unknown');
});

test("the tenant's own rate limit", async () => {
  // The other suites share this tenant, so the first of the three may be refused already.
  for (const [name, kind] of [['openai', OpenAI.RateLimitError], ['anthropic', Anthropic.RateLimitError]]) {
    const client = open(LIMITED, { maxRetries: 0 });
    const call = () => (name === 'openai' ? client.openai.chat.completions.create(chat('gpt-sim')) : client.anthropic.messages.create(message('claude-sim')));
    const error = await raised(kind, async () => {
      for (let tries = 0; tries < 3; tries += 1) await call();
    });
    assert.equal(error.headers.get('outrigger-code'), 'rate-limited');
    assert.equal(error.headers.get('x-should-retry'), 'true');
    const told = Number(error.headers.get('retry-after'));
    assert.ok(told >= 1 && told <= 60, `retry-after: ${told}`);
    assert.ok((await client.trace.seen()).length <= 2, 'refused requests are not sent on');
  }
});
