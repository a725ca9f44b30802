// The official Anthropic SDK for Node, through Outrigger.

import assert from 'node:assert/strict';
import test from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import { ANTHROPIC_BASES, GREETING, HELLO, KEY, TOOL_ANSWER, Trace, WEATHER, all, header, raised } from './world.js';

function open(more = {}) {
  const trace = new Trace();
  return { trace, client: new Anthropic(trace.options({ baseURL: ANTHROPIC_BASES[0], ...more })) };
}

const call = (more = {}) => ({ model: 'claude-sim', max_tokens: 256, messages: HELLO, ...more });
const tools = [{ name: 'get_weather', input_schema: WEATHER }];

test('messages under every base url', async () => {
  for (const baseURL of ANTHROPIC_BASES) {
    const { trace, client } = open({ baseURL });
    const answer = await client.messages.create(call());
    assert.equal(answer.content[0].text, GREETING);
    assert.deepEqual([answer.stop_reason, answer.usage.output_tokens], ['end_turn', 11]);
    assert.match(answer._request_id, /^req_/);
    assert.deepEqual((await trace.seen()).map((entry) => entry.target), ['/v1/messages']);
  }
});

test('what reaches the provider', async () => {
  const { trace, client } = open();
  await client.messages.create(call(), { headers: { 'anthropic-beta': 'one-2026-01-01,two', 'x-tenant-id': 'evil' } });
  const [entry] = await trace.seen();
  assert.equal(entry.body, trace.attempts[0].body, 'byte for byte');
  assert.ok(!JSON.stringify(entry).includes(KEY), "the tenant's key stays here");
  assert.equal(header(entry, 'authorization').length + header(entry, 'x-api-key').length, 1);
  assert.deepEqual(header(entry, 'anthropic-version'), ['2026-10-21']);
  assert.deepEqual(header(entry, 'anthropic-beta'), ['one-2026-01-01,two']);
  assert.ok(!JSON.stringify(entry.headers).includes('evil'));
  assert.notEqual(trace.attempts[0].response.headers.get('anthropic-ratelimit-requests-limit'), '4000');
});

test('streams', async () => {
  const { client } = open();
  const stream = client.messages.stream(call());
  const final = await stream.finalMessage();
  assert.equal(final.content[0].text, GREETING);
  assert.deepEqual([final.usage.input_tokens, final.usage.output_tokens], [4, 11]);
  const events = await all(client.messages.create(call({ stream: true })));
  assert.equal(events.at(0).type, 'message_start');
  assert.equal(events.at(-1).type, 'message_stop');
});

test('tool call round trip', async () => {
  const { client } = open();
  const messages = [{ role: 'user', content: 'Please use get_weather' }];
  const asked = await client.messages.create(call({ messages, tools }));
  const [block] = asked.content;
  assert.deepEqual([asked.stop_reason, block.input], ['tool_use', TOOL_ANSWER]);
  const result = { type: 'tool_result', tool_use_id: block.id, content: 'sunny' };
  messages.push({ role: 'assistant', content: asked.content }, { role: 'user', content: [result] });
  const answer = await client.messages.create(call({ messages, tools }));
  assert.equal(answer.stop_reason, 'end_turn');
  const streamed = await client.messages.stream(call({ messages: messages.slice(0, 1), tools })).finalMessage();
  assert.deepEqual(streamed.content[0].input, TOOL_ANSWER);
});

test('count tokens and models', async () => {
  const { client } = open();
  const counted = await client.messages.countTokens({ model: 'claude-sim', messages: HELLO });
  assert.equal(counted.input_tokens, 4);
  assert.ok((await all(client.models.list())).some((model) => model.id === 'claude-sim'));
});

test('failures are retried, then raised', async () => {
  const missing = open();
  await raised(Anthropic.NotFoundError, () => missing.client.messages.create(call({ model: 'no-such-model' })));
  assert.equal((await missing.trace.seen()).length, 1);

  const overloaded = open();
  const error = await raised(Anthropic.APIError, () => overloaded.client.messages.create(call({ model: 'sim-fault-529' })));
  assert.deepEqual([error.status, error.error.error.type], [529, 'overloaded_error']);
  assert.equal((await overloaded.trace.seen()).length, 3);

  const flaky = open();
  const answer = await flaky.client.messages.create(call({ model: 'sim-flaky-529' }));
  assert.equal(answer.content[0].text, GREETING);
  assert.deepEqual((await flaky.trace.seen()).map((entry) => entry.status), [529, 200]);
});

test('a stream that breaks never ends well', async () => {
  for (const [model, kind] of [['sim-fault-event', Anthropic.APIError], ['sim-fault-cut', Error]]) {
    const { client } = open();
    const kinds = [];
    await raised(kind, async () => {
      for await (const event of await client.messages.create(call({ model, stream: true }))) kinds.push(event.type);
    });
    assert.ok(kinds.includes('message_start') && !kinds.includes('message_stop'), `${kinds}`);
  }
});

test('closing a stream early ends it at the provider', async () => {
  const { trace, client } = open();
  const stream = client.messages.stream(call({ model: 'sim-pace-20ms+sim-chunks-200' }));
  await new Promise((first) => stream.once('text', first));
  stream.abort();
  await raised(Anthropic.APIUserAbortError, () => stream.finalMessage());
  await trace.waitForAnswer('dropped');
});
