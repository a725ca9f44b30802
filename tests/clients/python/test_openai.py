"""The official OpenAI SDK, synchronous: everything an agent does, through Outrigger."""

import json
import unittest

import httpx2
import openai
from pydantic import BaseModel

import world


class OpenAi(world.Case):
    def client(self, **more):
        more = {"api_key": world.KEY, "base_url": world.OPENAI_BASES[0], "default_headers": self.marked} | more
        client = openai.OpenAI(**more)
        self.addCleanup(client.close)
        return client

    def greet(self, client, **more):
        more = {"model": "gpt-sim", "messages": [{"role": "user", "content": "Hello there"}]} | more
        return client.chat.completions.create(**more)

    def test_chat_under_every_base_url(self):
        for base in world.OPENAI_BASES:
            with self.subTest(base=base):
                answer = self.greet(self.client(base_url=base))
                self.assertEqual(answer.choices[0].message.content, world.GREETING)
                self.assertEqual(answer.choices[0].finish_reason, "stop")
                self.assertEqual(answer.usage.total_tokens, 15)
                self.assertTrue(answer._request_id.startswith("req_"), "the provider's own id")
        self.assertEqual([entry["target"] for entry in self.seen()], ["/v1/chat/completions"] * 2)

    def test_what_reaches_the_provider(self):
        spoofs = {"X-Tenant-Id": "evil", "x_tenant_id": "evil", "baggage": "tenant.id=evil"}
        raw = self.client().chat.completions.with_raw_response.create(
            model="gpt-sim", messages=[{"role": "user", "content": "Grüße, \u2028 and a \\ "}], extra_headers=spoofs
        )
        (entry,) = self.seen()
        self.assertEqual(entry["body"].encode(), raw.http_request.content, "byte for byte")
        self.assertNotIn(world.KEY, json.dumps(entry), "the tenant's key stays here")
        self.assertEqual(len(world.header(entry, "authorization")), 1)
        self.assertEqual(world.header(entry, "x-api-key"), [])
        self.assertNotIn("evil", json.dumps(entry["headers"]))
        self.assertEqual(world.header(entry, "x-tenant-id"), ["acme"], "one stamp, and the right one")

    def test_the_provider_s_limits_are_not_the_tenant_s(self):
        raw = self.client().chat.completions.with_raw_response.create(
            model="gpt-sim", messages=[{"role": "user", "content": "hi"}]
        )
        self.assertNotEqual(raw.headers.get("x-ratelimit-limit-requests"), "10000")
        self.assertEqual(raw.headers["openai-version"], "2020-10-01")
        self.assertTrue(raw.headers["outrigger-request-id"])

    def test_chat_stream_without_usage(self):
        chunks = list(self.greet(self.client(), stream=True))
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks), world.GREETING)
        self.assertEqual([chunk.usage for chunk in chunks], [None] * len(chunks))
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")

    def test_chat_stream_with_usage(self):
        chunks = list(self.greet(self.client(), stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.total_tokens, 15)
        self.assertEqual([chunk.usage for chunk in chunks[:-1]], [None] * (len(chunks) - 1))

    def test_a_long_stream_arrives_whole(self):
        chunks = list(self.greet(self.client(), model="sim-chunks-2000+sim-bytes-100000", stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        self.assertEqual(len(text), 100_000)
        self.assertEqual(sum(bool(chunk.choices[0].delta.content) for chunk in chunks), 2000)

    def test_compressed_answers(self):
        model = "sim-coding-gzip"
        self.assertEqual(self.greet(self.client(), model=model).choices[0].message.content, world.GREETING)
        chunks = list(self.greet(self.client(), model=model, stream=True))
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks), world.GREETING)

    def test_several_choices_and_a_cap(self):
        answer = self.greet(self.client(), n=3, max_completion_tokens=2)
        self.assertEqual([choice.message.content for choice in answer.choices], ["This is "] * 3)
        self.assertEqual({choice.finish_reason for choice in answer.choices}, {"length"})
        self.assertEqual(answer.usage.completion_tokens, 6)

    def test_tool_call_round_trip(self):
        client = self.client()
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": world.WEATHER}}]
        messages = [{"role": "user", "content": "Please use get_weather"}]
        asked = self.greet(client, messages=messages, tools=tools).choices[0]
        self.assertEqual(asked.finish_reason, "tool_calls")
        (call,) = asked.message.tool_calls
        self.assertEqual(json.loads(call.function.arguments), world.TOOL_ANSWER)
        messages += [asked.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        answer = self.greet(client, messages=messages, tools=tools).choices[0]
        self.assertEqual(answer.message.content, "The tool answered: sunny")

    def test_tool_call_in_a_stream(self):
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": world.WEATHER}}]
        messages = [{"role": "user", "content": "Please use get_weather"}]
        with self.client().chat.completions.stream(model="gpt-sim", messages=messages, tools=tools) as stream:
            call = stream.get_final_completion().choices[0].message.tool_calls[0]
        self.assertEqual(json.loads(call.function.arguments), world.TOOL_ANSWER)

    def test_structured_answer(self):
        class Weather(BaseModel):
            city: str
            sunny: bool

        messages = [{"role": "user", "content": "hi"}]
        answer = self.client().chat.completions.parse(model="gpt-sim", messages=messages, response_format=Weather)
        self.assertEqual(answer.choices[0].message.parsed, Weather(city="sample city", sunny=True))

    def test_responses(self):
        answer = self.client().responses.create(model="gpt-sim", input="Hello there")
        self.assertEqual(answer.output_text, world.GREETING)
        self.assertEqual((answer.status, answer.usage.output_tokens), ("completed", 11))

    def test_responses_stream(self):
        events = list(self.client().responses.create(model="gpt-sim", input="Hello there", stream=True))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        self.assertEqual("".join(deltas), world.GREETING)
        self.assertEqual(events[-1].type, "response.completed")
        self.assertEqual(events[-1].response.usage.output_tokens, 11)

    def test_responses_cut_short_by_the_cap(self):
        with self.client().responses.stream(model="gpt-sim", input="Hello there", max_output_tokens=2) as stream:
            events = list(stream)
        self.assertEqual(events[-1].type, "response.incomplete")
        self.assertEqual(events[-1].response.incomplete_details.reason, "max_output_tokens")

    def test_responses_tool_call_round_trip(self):
        client = self.client()
        tools = [{"type": "function", "name": "get_weather", "parameters": world.WEATHER, "strict": True}]
        conversation = [{"role": "user", "content": "Please use get_weather"}]
        asked = client.responses.create(model="gpt-sim", input=conversation, tools=tools)
        (call,) = asked.output
        self.assertEqual((call.type, json.loads(call.arguments)), ("function_call", world.TOOL_ANSWER))
        conversation += [call.model_dump(), {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
        answer = client.responses.create(model="gpt-sim", input=conversation, tools=tools)
        self.assertEqual(answer.output_text, "The tool answered: sunny")

    def test_embeddings(self):
        # Without a format the SDK asks for base64 and decodes it.
        client = self.client()
        texts = ["one", "two", "one"]
        packed = client.embeddings.create(model="text-embedding-sim", input=texts)
        first, second, again = [item.embedding for item in packed.data]
        self.assertEqual(len(first), 1536)
        self.assertEqual(first, again)
        self.assertNotEqual(first, second)
        self.assertEqual(packed.usage.prompt_tokens, 3)
        plain = client.embeddings.create(model="text-embedding-sim", input=texts, encoding_format="float")
        self.assertAlmostEqual(plain.data[1].embedding[7], second[7], places=6)

    def test_models(self):
        client = self.client()
        self.assertIn("gpt-sim", [model.id for model in client.models.list()])
        self.assertEqual(client.models.retrieve("gpt-sim").id, "gpt-sim")

    def test_legacy_completions(self):
        client = self.client()
        answer = client.completions.create(model="gpt-sim", prompt="Hello there", max_tokens=64)
        self.assertEqual(answer.choices[0].text, world.GREETING)
        self.assertGreater(answer.usage.completion_tokens, 0)
        chunks = list(client.completions.create(model="gpt-sim", prompt="Hello there", max_tokens=64, stream=True))
        self.assertEqual("".join(chunk.choices[0].text for chunk in chunks), world.GREETING)
        self.assertTrue(all(chunk.usage is None for chunk in chunks), "usage was not asked for by this client")
        sent = json.loads(self.seen()[1]["body"])
        self.assertEqual(sent["stream_options"], {"include_usage": True})

    def test_moderations(self):
        client = self.client()
        for more in [{}, {"model": "omni-moderation-latest"}]:
            answer = client.moderations.create(input=["fine", "sim-flagged"], **more)
            self.assertEqual(answer.model, "omni-moderation-latest")
            self.assertTrue(answer.results[0].flagged)

    def test_the_endpoints_that_a_policy_opens(self):
        client = self.client()
        images = client.images.generate(model="gpt-image-sim", prompt="a grey dot", n=2)
        self.assertEqual(len(images.data), 2)
        self.assertEqual(images.usage.output_tokens, 32)
        events = list(client.images.generate(model="gpt-image-sim", prompt="a grey dot", stream=True))
        self.assertEqual([event.type for event in events], ["image_generation.completed"])
        sound = client.audio.speech.create(model="gpt-audio-sim", voice="alloy", input="Hello there")
        self.assertTrue(sound.content.startswith(b"RIFF"))
        compacted = client.responses.compact(model="gpt-sim", input="Hello there")
        self.assertEqual(compacted.output[0].type, "compaction")
        counted = client.responses.input_tokens.count(model="gpt-sim", input="Hello there")
        self.assertEqual(counted.input_tokens, 3)

    def test_errors_of_the_provider_come_through(self):
        with self.assertRaises(openai.NotFoundError) as raised:
            self.greet(self.client(), model="no-such-model")
        self.assertEqual(raised.exception.code, "model_not_found")
        self.assertEqual(len(self.seen()), 1)

    def test_bad_requests_are_not_retried(self):
        with self.assertRaises(openai.BadRequestError) as raised:
            self.greet(self.client(), n=1000)
        self.assertIn("'n'", raised.exception.message)
        self.assertEqual(len(self.seen()), 1)

    def test_a_rate_limit_of_the_provider_is_retried_then_raised(self):
        with self.assertRaises(openai.RateLimitError) as raised:
            self.greet(self.client(max_retries=2), model="sim-fault-429")
        self.assertEqual(raised.exception.code, "rate_limit_exceeded")
        counts = [world.header(entry, "x-stainless-retry-count") for entry in self.seen()]
        self.assertEqual(counts, [["0"], ["1"], ["2"]])

    def test_a_passing_failure_is_retried_and_heals(self):
        answer = self.greet(self.client(), model="sim-flaky-500")
        self.assertEqual(answer.choices[0].message.content, world.GREETING)
        self.assertEqual([entry["status"] for entry in self.seen()], [500, 200])

    def test_a_lasting_failure_is_raised(self):
        for model, status in [("sim-fault-500", 500), ("sim-fault-503", 503)]:
            with self.subTest(model), self.assertRaises(openai.InternalServerError) as raised:
                self.greet(self.client(max_retries=0), model=model)
            self.assertEqual(raised.exception.status_code, status)
            self.assertEqual(raised.exception.type, "server_error")

    def test_an_error_event_in_a_stream_is_raised(self):
        with self.assertRaises(openai.APIError) as raised:
            list(self.greet(self.client(), model="sim-fault-event", stream=True))
        self.assertIn("The server had an error", raised.exception.message)

    def test_an_error_event_in_a_responses_stream_is_the_last(self):
        # This SDK hands the event of this endpoint over and does not raise it.
        events = list(self.client().responses.create(model="sim-fault-event", input="hi", stream=True))
        self.assertEqual((events[-1].type, events[-1].code), ("error", "server_error"))
        self.assertNotIn("response.completed", [event.type for event in events])

    def test_a_cut_stream_is_raised_and_never_ends_well(self):
        chunks = []
        with self.assertRaises((openai.APIError, httpx2.HTTPError)):
            for chunk in self.greet(self.client(), model="sim-fault-cut", stream=True):
                chunks.append(chunk)
        self.assertTrue(chunks)
        self.assertTrue(all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices))

    def test_closing_a_stream_early_ends_it_at_the_provider(self):
        stream = self.greet(self.client(), model="sim-pace-20ms+sim-chunks-1000", stream=True)
        for _, _ in zip(range(3), stream):
            pass
        stream.close()
        self.wait_for_answer("dropped")

    def test_a_slow_answer_times_out_at_the_client(self):
        with self.assertRaises(openai.APITimeoutError):
            self.greet(self.client(max_retries=0, timeout=0.3), model="sim-slow-30s")
        self.wait_for_answer("dropped")


if __name__ == "__main__":
    unittest.main()
