"""The official Anthropic SDK, synchronous and asynchronous, through Outrigger."""

import asyncio
import json
import unittest

import anthropic
import httpx2

import world

HELLO = [{"role": "user", "content": "Hello there"}]
TOOLS = [{"name": "get_weather", "input_schema": world.WEATHER}]


def call(**more):
    return {"model": "claude-sim", "max_tokens": 256, "messages": HELLO} | more


class Anthropic(world.Case):
    def client(self, **more):
        more = {"api_key": world.KEY, "base_url": world.ANTHROPIC_BASES[0], "default_headers": self.marked} | more
        client = anthropic.Anthropic(**more)
        self.addCleanup(client.close)
        return client

    def test_messages_under_every_base_url(self):
        for base in world.ANTHROPIC_BASES:
            with self.subTest(base=base):
                answer = self.client(base_url=base).messages.create(**call())
                self.assertEqual(answer.content[0].text, world.GREETING)
                self.assertEqual((answer.stop_reason, answer.usage.output_tokens), ("end_turn", 11))
                self.assertTrue(answer._request_id.startswith("req_"), "the provider's own id")
        self.assertEqual([entry["target"] for entry in self.seen()], ["/v1/messages"] * 2)

    def test_what_reaches_the_provider(self):
        raw = self.client().messages.with_raw_response.create(
            **call(), extra_headers={"anthropic-beta": "one-2026-01-01,two", "x-tenant-id": "evil"}
        )
        (entry,) = self.seen()
        self.assertEqual(entry["body"].encode(), raw.http_request.content, "byte for byte")
        self.assertNotIn(world.KEY, json.dumps(entry), "the tenant's key stays here")
        self.assertEqual(len(world.header(entry, "authorization") + world.header(entry, "x-api-key")), 1)
        self.assertEqual(world.header(entry, "anthropic-version"), ["2026-10-21"])
        self.assertEqual(world.header(entry, "anthropic-beta"), ["one-2026-01-01,two"])
        self.assertNotIn("evil", json.dumps(entry["headers"]))
        self.assertNotEqual(raw.headers.get("anthropic-ratelimit-requests-limit"), "4000")

    def test_beta_calls_keep_their_query(self):
        answer = self.client().beta.messages.create(**call(), betas=["one-2026-01-01"], extra_query={"beta": "true"})
        self.assertEqual(answer.content[0].text, world.GREETING)
        (entry,) = self.seen()
        self.assertEqual(entry["target"], "/v1/messages?beta=true")
        self.assertEqual(world.header(entry, "anthropic-beta"), ["one-2026-01-01"])

    def test_stream(self):
        with self.client().messages.stream(**call()) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, world.GREETING)
        self.assertEqual((final.usage.input_tokens, final.usage.output_tokens), (4, 11))

    def test_stream_events(self):
        events = [event.type for event in self.client().messages.create(**call(model="sim-chunks-2", stream=True))]
        delta = ["content_block_delta"] * 2
        wanted = ["message_start", "content_block_start", *delta, "content_block_stop", "message_delta", "message_stop"]
        self.assertEqual([event for event in events if event != "ping"], wanted)

    def test_tool_call_round_trip(self):
        client = self.client()
        messages = [{"role": "user", "content": "Please use get_weather"}]
        asked = client.messages.create(**call(messages=messages, tools=TOOLS))
        self.assertEqual(asked.stop_reason, "tool_use")
        (block,) = asked.content
        self.assertEqual(block.input, world.TOOL_ANSWER)
        result = {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        messages += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
        answer = client.messages.create(**call(messages=messages, tools=TOOLS))
        self.assertEqual(answer.content[0].type, "text")
        self.assertEqual(answer.stop_reason, "end_turn")

    def test_tool_call_in_a_stream(self):
        messages = [{"role": "user", "content": "Please use get_weather"}]
        with self.client().messages.stream(**call(messages=messages, tools=TOOLS)) as stream:
            (block,) = stream.get_final_message().content
        self.assertEqual(block.input, world.TOOL_ANSWER)

    def test_count_tokens_and_models(self):
        client = self.client()
        self.assertEqual(client.messages.count_tokens(model="claude-sim", messages=HELLO).input_tokens, 4)
        self.assertIn("claude-sim", [model.id for model in client.models.list()])
        self.assertEqual(client.models.retrieve("claude-sim").id, "claude-sim")

    def test_a_path_without_the_version(self):
        # Some clients append `/messages` to the base URL themselves.
        answer = self.client().post("/messages", body=call(), cast_to=object)
        self.assertEqual(answer["content"][0]["text"], world.GREETING)
        self.assertEqual(self.seen()[0]["target"], "/v1/messages")

    def test_errors_of_the_provider_come_through(self):
        with self.assertRaises(anthropic.NotFoundError) as raised:
            self.client().messages.create(**call(model="no-such-model"))
        self.assertEqual(raised.exception.body["error"]["type"], "not_found_error")
        with self.assertRaises(anthropic.BadRequestError):
            self.client().messages.create(**call(), extra_body={"temperature": 1})
        self.assertEqual(len(self.seen()), 2)

    def test_overload_is_retried_then_raised(self):
        with self.assertRaises(anthropic.APIStatusError) as raised:
            self.client(max_retries=1).messages.create(**call(model="sim-fault-529"))
        self.assertEqual(raised.exception.status_code, 529)
        self.assertEqual(raised.exception.body["error"]["type"], "overloaded_error")
        self.assertEqual(len(self.seen()), 2)

    def test_passing_failures_are_retried_and_heal(self):
        for model in ["sim-flaky-529", "sim-flaky-429", "sim-flaky-500"]:
            answer = self.client().messages.create(**call(model=model))
            self.assertEqual(answer.content[0].text, world.GREETING)
        self.assertEqual([entry["status"] for entry in self.seen()], [529, 200, 429, 200, 500, 200])

    def test_an_error_event_in_a_stream_is_raised(self):
        with self.assertRaises(anthropic.APIStatusError) as raised:
            list(self.client().messages.create(**call(model="sim-fault-event", stream=True)))
        self.assertEqual(raised.exception.body["error"]["type"], "overloaded_error")

    def test_a_cut_stream_is_raised_and_never_ends_well(self):
        kinds = []
        with self.assertRaises((anthropic.APIError, httpx2.HTTPError)):
            for event in self.client().messages.create(**call(model="sim-fault-cut", stream=True)):
                kinds.append(event.type)
        self.assertIn("message_start", kinds)
        self.assertNotIn("message_stop", kinds)

    def test_closing_a_stream_early_ends_it_at_the_provider(self):
        stream = self.client().messages.create(**call(model="sim-pace-20ms+sim-chunks-200", stream=True))
        next(iter(stream))
        stream.close()
        self.wait_for_answer("dropped")


class AnthropicAsync(world.Case, unittest.IsolatedAsyncioTestCase):
    def client(self):
        client = anthropic.AsyncAnthropic(
            api_key=world.KEY, base_url=world.ANTHROPIC_BASES[0], default_headers=self.marked
        )
        self.addAsyncCleanup(client.close)
        return client

    async def test_messages_and_streams_at_once(self):
        client = self.client()

        async def text(name):
            messages = [{"role": "user", "content": name}]
            async with client.messages.stream(**call(messages=messages)) as stream:
                return await stream.get_final_text()

        names = [f"number {number:02}" for number in range(16)]
        texts = await asyncio.gather(*[text(name) for name in names])
        self.assertEqual(texts, [f"This is a simulated answer to: {name}" for name in names])
        answers = await asyncio.gather(*[client.messages.create(**call()) for _ in names])
        self.assertEqual({answer.content[0].text for answer in answers}, {world.GREETING})


if __name__ == "__main__":
    unittest.main()
