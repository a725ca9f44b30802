// Where the suite runs: Outrigger before the simulator, both already started, named by the environment
// (the same variables as the Python suite's; see ../python/world.py).

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

const need = (name) => process.env[name] ?? assert.fail(`${name} is not set`);

export const PROXY = need('OUTRIGGER_URL');
export const KEY = need('OUTRIGGER_KEY');
export const LIMITED = need('OUTRIGGER_KEY_LIMITED');
export const STRICT = need('OUTRIGGER_KEY_STRICT');
const SIMULATOR = need('SIMULATOR_URL');

export const OPENAI_BASES = [`${PROXY}/openai/v1`, `${PROXY}/openai`];
export const ANTHROPIC_BASES = [`${PROXY}/anthropic`, `${PROXY}/anthropic/v1`];

export const GREETING = 'This is a simulated answer to: Hello there';
export const HELLO = [{ role: 'user', content: 'Hello there' }];

export const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['C', 'F'] } },
  required: ['city', 'unit'],
};
export const TOOL_ANSWER = { city: 'sample city', unit: 'C' };

// One test's mark, by which its requests are found again at the simulator, and the attempts of its clients.
export class Trace {
  attempts = [];
  #mark = randomUUID();

  // Options for either SDK's client; its own `fetch` is used, and only looked at.
  options(more) {
    return {
      apiKey: KEY,
      defaultHeaders: { 'x-test-mark': this.#mark },
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        this.attempts.push({ body: init.body, response });
        return response;
      },
      ...more,
    };
  }

  // What reached the simulator from this test, in order.
  async seen() {
    const answer = await fetch(`${SIMULATOR}/sim/requests`);
    const { requests } = await answer.json();
    return requests.filter((entry) => header(entry, 'x-test-mark').includes(this.#mark));
  }

  // Waits until the only answer given to this test is `complete` or `dropped`.
  async waitForAnswer(state) {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const states = (await this.seen()).map((entry) => entry.answer);
      if (states.length === 1 && states[0] === state) return;
      assert.ok(Date.now() < deadline, `wanted one ${state}, saw ${states}`);
      await new Promise((later) => setTimeout(later, 20));
    }
  }

  // A refusal of Outrigger's own, given up at the first attempt and unknown to the provider.
  async assertRefused(error, code) {
    assert.equal(error.headers.get('outrigger-code'), code);
    assert.ok(error.headers.get('outrigger-request-id'));
    assert.equal(error.headers.get('x-should-retry'), 'false');
    assert.equal(this.attempts.length, 1);
    assert.deepEqual(await this.seen(), []);
    this.attempts = [];
  }
}

// All values of one header in what the simulator saw.
export const header = (entry, name) => entry.headers.filter(([key]) => key === name).map(([, value]) => value);

// The error that a call must end in, of the given class.
export async function raised(kind, call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof kind, `wanted ${kind.name}, got ${error?.constructor?.name}: ${error}`);
    return error;
  }
  return assert.fail(`wanted ${kind.name}, and nothing was thrown`);
}

// Everything that a stream gives.
export async function all(stream) {
  const items = [];
  for await (const item of await stream) items.push(item);
  return items;
}
