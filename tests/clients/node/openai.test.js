// The official OpenAI SDK for Node: everything an agent does, through Outrigger.

import assert from 'node:assert/strict';
import test from 'node:test';

import OpenAI from 'openai';

import { GREETING, HELLO, KEY, OPENAI_BASES, TOOL_ANSWER, Trace, WEATHER, all, header, raised } from './world.js';

function open(more = {}) {
  const trace = new Trace();
  return { trace, client: new OpenAI(trace.options({ baseURL: OPENAI_BASES[0], ...more })) };
}

const chat = (more = {}) => ({ model: 'gpt-sim', messages: HELLO, ...more });
const text = (chunks) => chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join('');

test('chat under every base url', async () => {
  for (const baseURL of OPENAI_BASES) {
    const { trace, client } = open({ baseURL });
    const answer = await client.chat.completions.create(chat());
    assert.equal(answer.choices[0].message.content, GREETING);
    assert.equal(answer.usage.total_tokens, 15);
    assert.match(answer._request_id, /^req_/);
    assert.deepEqual((await trace.seen()).map((entry) => entry.target), ['/v1/chat/completions']);
  }
});

test('what reaches the provider', async () => {
  const { trace, client } = open();
  const headers = { 'X-Tenant-Id': 'evil', x_tenant_id: 'evil', baggage: 'tenant.id=evil' };
  const messages = [{ role: 'user', content: 'Grüße, \u2028 and a \\ ' }];
  await client.chat.completions.create(chat({ messages }), { headers });
  const [entry] = await trace.seen();
  assert.equal(entry.body, trace.attempts[0].body, 'byte for byte');
  assert.ok(!JSON.stringify(entry).includes(KEY), "the tenant's key stays here");
  assert.equal(header(entry, 'authorization').length, 1);
  assert.ok(!JSON.stringify(entry.headers).includes('evil'));
  assert.deepEqual(header(entry, 'x-tenant-id'), ['acme'], 'one stamp, and the right one');
  assert.notEqual(trace.attempts[0].response.headers.get('x-ratelimit-limit-requests'), '10000');
});

test('chat streams, with and without usage', async () => {
  const { client } = open();
  const plain = await all(client.chat.completions.create(chat({ stream: true })));
  assert.equal(text(plain), GREETING);
  assert.ok(plain.every((chunk) => chunk.choices.length === 1 && chunk.usage == null));
  const counted = await all(client.chat.completions.create(chat({ stream: true, stream_options: { include_usage: true } })));
  const last = counted.pop();
  assert.equal(text(counted), GREETING);
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, 15);
});

test('streams at once do not mix', async () => {
  const { client } = open();
  const names = Array.from({ length: 16 }, (_, number) => `number ${String(number).padStart(2, '0')}`);
  const model = 'sim-pace-1ms';
  const streams = names.map((content) =>
    all(client.chat.completions.create(chat({ model, messages: [{ role: 'user', content }], stream: true }))),
  );
  const texts = (await Promise.all(streams)).map(text);
  assert.deepEqual(texts, names.map((name) => `This is a simulated answer to: ${name}`));
});

test('tool call round trip', async () => {
  const { client } = open();
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters: WEATHER } }];
  const messages = [{ role: 'user', content: 'Please use get_weather' }];
  const asked = await client.chat.completions.create(chat({ messages, tools }));
  const [call] = asked.choices[0].message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), TOOL_ANSWER);
  messages.push(asked.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' });
  const answer = await client.chat.completions.create(chat({ messages, tools }));
  assert.equal(answer.choices[0].message.content, 'The tool answered: sunny');
});

test('tools run by the sdk in a stream', async () => {
  const { client } = open();
  const run = client.chat.completions.runTools(
    chat({
      stream: true,
      messages: [{ role: 'user', content: 'Please use get_weather' }],
      tools: [{ type: 'function', function: { name: 'get_weather', parameters: WEATHER, parse: JSON.parse, function: ({ city }) => `sunny in ${city}` } }],
    }),
  );
  assert.equal(await run.finalContent(), 'The tool answered: sunny in sample city');
});

test('responses, plain and streamed', async () => {
  const { client } = open();
  const plain = await client.responses.create({ model: 'gpt-sim', input: 'Hello there' });
  assert.equal(plain.output_text, GREETING);
  const events = await all(client.responses.create({ model: 'gpt-sim', input: 'Hello there', stream: true }));
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  assert.equal(events.at(-1).type, 'response.completed');
  assert.equal(events.at(-1).response.usage.output_tokens, plain.usage.output_tokens);
  const deltas = events.filter((event) => event.type === 'response.output_text.delta');
  assert.equal(deltas.map((event) => event.delta).join(''), GREETING);
});

test('responses tool call round trip', async () => {
  const { client } = open();
  const tools = [{ type: 'function', name: 'get_weather', parameters: WEATHER, strict: true }];
  const input = [{ role: 'user', content: 'Please use get_weather' }];
  const asked = await client.responses.create({ model: 'gpt-sim', input, tools });
  const [call] = asked.output;
  assert.deepEqual(JSON.parse(call.arguments), TOOL_ANSWER);
  input.push(call, { type: 'function_call_output', call_id: call.call_id, output: 'sunny' });
  const answer = await client.responses.create({ model: 'gpt-sim', input, tools });
  assert.equal(answer.output_text, 'The tool answered: sunny');
});

test('embeddings and models', async () => {
  const { client } = open();
  const packed = await client.embeddings.create({ model: 'text-embedding-sim', input: ['one', 'two', 'one'] });
  assert.equal(packed.data[0].embedding.length, 1536);
  assert.deepEqual(packed.data[0].embedding, packed.data[2].embedding);
  assert.notDeepEqual(packed.data[0].embedding, packed.data[1].embedding);
  const ids = (await all(client.models.list())).map((model) => model.id);
  assert.ok(ids.includes('gpt-sim'));
  assert.equal((await client.models.retrieve('gpt-sim')).id, 'gpt-sim');
});

test('legacy completions and moderations', async () => {
  const { client } = open();
  const answer = await client.completions.create({ model: 'gpt-sim', prompt: 'Hello there', max_tokens: 64 });
  assert.equal(answer.choices[0].text, GREETING);
  const chunks = await all(client.completions.create({ model: 'gpt-sim', prompt: 'Hello there', max_tokens: 64, stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(''), GREETING);
  const judged = await client.moderations.create({ input: 'fine' });
  assert.equal(judged.results[0].flagged, false);
});

test('errors of the provider come through', async () => {
  const { trace, client } = open();
  const error = await raised(OpenAI.NotFoundError, () => client.chat.completions.create(chat({ model: 'no-such-model' })));
  assert.equal(error.code, 'model_not_found');
  assert.equal((await trace.seen()).length, 1);
});

test('failures are retried, then raised', async () => {
  const limited = open();
  const error = await raised(OpenAI.RateLimitError, () => limited.client.chat.completions.create(chat({ model: 'sim-fault-429' })));
  assert.equal(error.code, 'rate_limit_exceeded');
  const counts = (await limited.trace.seen()).map((entry) => header(entry, 'x-stainless-retry-count')[0]);
  assert.deepEqual(counts, ['0', '1', '2']);

  const flaky = open();
  const answer = await flaky.client.chat.completions.create(chat({ model: 'sim-flaky-500' }));
  assert.equal(answer.choices[0].message.content, GREETING);
  assert.deepEqual((await flaky.trace.seen()).map((entry) => entry.status), [500, 200]);

  const broken = open({ maxRetries: 0 });
  await raised(OpenAI.InternalServerError, () => broken.client.chat.completions.create(chat({ model: 'sim-fault-500' })));
});

test('a stream that breaks never ends well', async () => {
  for (const [model, kind] of [['sim-fault-event', OpenAI.APIError], ['sim-fault-cut', Error]]) {
    const { client } = open();
    const chunks = [];
    await raised(kind, async () => {
      for await (const chunk of await client.chat.completions.create(chat({ model, stream: true }))) chunks.push(chunk);
    });
    assert.ok(chunks.length > 0);
    assert.ok(chunks.every((chunk) => chunk.choices.every((choice) => choice.finish_reason === null)));
  }
});

test('closing a stream early ends it at the provider', async () => {
  const { trace, client } = open();
  const stream = await client.chat.completions.create(chat({ model: 'sim-pace-20ms+sim-chunks-1000', stream: true }));
  for await (const chunk of stream) {
    assert.ok(chunk);
    break;
  }
  await trace.waitForAnswer('dropped');
});
