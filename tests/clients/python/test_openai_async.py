"""The official OpenAI SDK, asynchronous, with many calls under way at once."""

import asyncio
import unittest

import openai

import world


class OpenAiAsync(world.Case, unittest.IsolatedAsyncioTestCase):
    def client(self, **more):
        more = {"api_key": world.KEY, "base_url": world.OPENAI_BASES[0], "default_headers": self.marked} | more
        client = openai.AsyncOpenAI(**more)
        self.addAsyncCleanup(client.close)
        return client

    async def greet(self, client, **more):
        more = {"model": "gpt-sim", "messages": [{"role": "user", "content": "Hello there"}]} | more
        return await client.chat.completions.create(**more)

    async def test_chat_and_responses_at_once(self):
        client = self.client()
        calls = [self.greet(client, model=f"gpt-{number}") for number in range(20)]
        calls += [client.responses.create(model=f"gpt-{number}", input="Hello there") for number in range(20)]
        answers = await asyncio.gather(*calls)
        self.assertEqual([answer.model for answer in answers], [f"gpt-{number}" for number in range(20)] * 2)

    async def test_streams_at_once_do_not_mix(self):
        client = self.client()

        async def text(name):
            messages = [{"role": "user", "content": name}]
            stream = await self.greet(client, model="sim-pace-1ms+sim-chunks-20", messages=messages, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        texts = await asyncio.gather(*[text(f"number {number:02}") for number in range(16)])
        for number, answer in enumerate(texts):
            self.assertTrue(answer.startswith(f"This is a simulated answer to: number {number:02}"), answer)

    async def test_a_connection_is_used_again_after_a_stream(self):
        client = self.client()
        for _ in range(3):
            stream = await self.greet(client, stream=True)
            self.assertTrue([chunk async for chunk in stream])

    async def test_a_cancelled_stream_ends_at_the_provider(self):
        stream = await self.greet(self.client(), model="sim-pace-20ms+sim-chunks-1000", stream=True)
        async with stream:
            await anext(aiter(stream))
        await asyncio.to_thread(self.wait_for_answer, "dropped")

    async def test_retries_and_errors(self):
        answer = await self.greet(self.client(), model="sim-flaky-429")
        self.assertEqual(answer.choices[0].message.content, world.GREETING)
        with self.assertRaises(openai.NotFoundError):
            await self.greet(self.client(), model="no-such-model")


if __name__ == "__main__":
    unittest.main()
