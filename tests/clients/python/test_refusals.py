"""What Outrigger refuses: seen through the SDKs' own exception types, never retried when that cannot help, and never
seen by the provider."""

import unittest
from unittest import mock

import anthropic
import openai

import world

HELLO = [{"role": "user", "content": "Hello there"}]


class Refusals(world.Case):
    def openai(self, key, **more):
        client = openai.OpenAI(api_key=key, base_url=world.OPENAI_BASES[0], default_headers=self.marked, **more)
        self.addCleanup(client.close)
        return client

    def anthropic(self, key, **more):
        client = anthropic.Anthropic(
            api_key=key, base_url=world.ANTHROPIC_BASES[0], default_headers=self.marked, **more
        )
        self.addCleanup(client.close)
        return client

    def test_an_allowed_model_is_answered(self):
        self.openai(world.STRICT).chat.completions.create(model="gpt-sim", messages=HELLO)
        self.anthropic(world.STRICT).messages.create(model="claude-sim", max_tokens=9, messages=HELLO)
        self.assertEqual(len(self.seen()), 2)

    def test_a_denied_model(self):
        client = self.openai(world.STRICT)
        calls = [
            lambda: client.chat.completions.create(model="gpt-denied", messages=HELLO),
            lambda: client.chat.completions.create(model="gpt-denied", messages=HELLO, stream=True),
            lambda: client.responses.create(model="gpt-denied", input="hi"),
            lambda: client.embeddings.create(model="gpt-denied", input="hi"),
        ]
        for number, call in enumerate(calls):
            with self.subTest(number), self.assertRaises(openai.PermissionDeniedError) as raised:
                call()
            self.assert_refused(raised.exception, "model-denied")
            self.assertTrue(raised.exception.code, "in the provider's own member, too")
            self.assertIn("gpt-denied", raised.exception.message)

    def test_a_denied_model_for_anthropic(self):
        client = self.anthropic(world.STRICT)
        calls = [
            lambda: client.messages.create(model="claude-denied", max_tokens=9, messages=HELLO),
            lambda: client.messages.create(model="claude-denied", max_tokens=9, messages=HELLO, stream=True),
            lambda: client.messages.count_tokens(model="claude-denied", messages=HELLO),
        ]
        for number, call in enumerate(calls):
            with self.subTest(number), self.assertRaises(anthropic.PermissionDeniedError) as raised:
                call()
            self.assert_refused(raised.exception, "model-denied")
            self.assertEqual(raised.exception.body["type"], "error")
            self.assertEqual(raised.exception.body["error"]["type"], "permission_error")

    def test_hosted_tools(self):
        client = self.openai(world.STRICT)
        hosted = [
            {"type": "web_search"},
            {"type": "code_interpreter", "container": {"type": "auto"}},
            {"type": "mcp", "server_label": "x", "server_url": "https://example.com"},
        ]
        for tool in hosted:
            with self.subTest(tool["type"]), self.assertRaises(openai.PermissionDeniedError) as raised:
                client.responses.create(model="gpt-sim", input="hi", tools=[tool])
            self.assert_refused(raised.exception, "hosted-tool-denied")
        tool = {"type": "web_search_20260318", "name": "web_search"}
        with self.assertRaises(anthropic.PermissionDeniedError) as raised:
            self.anthropic(world.STRICT).messages.create(model="claude-sim", max_tokens=9, messages=HELLO, tools=[tool])
        self.assert_refused(raised.exception, "hosted-tool-denied")

    def test_background_work(self):
        with self.assertRaises(openai.PermissionDeniedError) as raised:
            self.openai(world.STRICT).responses.create(model="gpt-sim", input="hi", background=True)
        self.assert_refused(raised.exception, "background-denied")

    def test_a_closed_endpoint(self):
        with self.assertRaises(openai.PermissionDeniedError) as raised:
            self.openai(world.STRICT).files.list()
        self.assert_refused(raised.exception, "endpoint-denied")

    def test_an_unknown_key(self):
        with self.assertRaises(openai.AuthenticationError) as raised:
            self.openai("or_nobody").chat.completions.create(model="gpt-sim", messages=HELLO)
        self.assert_refused(raised.exception, "identity-unknown")
        self.assertNotIn("or_nobody", raised.exception.response.text)
        with self.assertRaises(anthropic.AuthenticationError) as raised:
            self.anthropic("or_nobody").messages.create(model="claude-sim", max_tokens=9, messages=HELLO)
        self.assert_refused(raised.exception, "identity-unknown")
        self.assertEqual(raised.exception.body["error"]["type"], "authentication_error")

    def test_two_keys_of_different_tenants(self):
        with self.assertRaises(openai.PermissionDeniedError) as raised:
            self.openai(world.KEY).chat.completions.create(
                model="gpt-sim", messages=HELLO, extra_headers={"x-api-key": world.STRICT}
            )
        self.assert_refused(raised.exception, "identity-conflict")

    def test_models_that_may_not_be_used_do_not_exist(self):
        client = self.openai(world.STRICT)
        self.assertEqual([model.id for model in client.models.list()], ["gpt-sim"])
        self.assertEqual(client.models.retrieve("gpt-sim").id, "gpt-sim")
        before = len(self.seen())
        with self.assertRaises(openai.NotFoundError) as raised:
            client.models.retrieve("gpt-sim-mini")
        self.assertEqual(raised.exception.code, "model_not_found")
        client = self.anthropic(world.STRICT)
        self.assertTrue(all(model.id == "claude-sim" for model in client.models.list()))
        with self.assertRaises(anthropic.NotFoundError):
            client.models.retrieve("claude-denied")
        self.assertEqual(len(self.seen()), before + 1)

    def test_endpoints_and_tiers_that_are_not_open(self):
        client = self.openai(world.STRICT)
        calls = {
            "endpoint-denied": [
                lambda: client.completions.create(model="gpt-sim", prompt="hi"),
                lambda: client.moderations.create(input="hi"),
                lambda: client.batches.list(),
                lambda: client.audio.transcriptions.create(model="gpt-sim", file=("a.wav", b"RIFF")),
                lambda: client.realtime.client_secrets.create(session={"type": "realtime", "model": "gpt-sim"}),
            ],
            "service-tier-denied": [
                lambda: client.chat.completions.create(model="gpt-sim", messages=HELLO, service_tier="priority"),
                lambda: client.responses.create(model="gpt-sim", input="hi", service_tier="fast"),
            ],
        }
        for code, denied in calls.items():
            for call in denied:
                with self.subTest(code), self.assertRaises(openai.PermissionDeniedError) as raised:
                    call()
                self.assert_refused(raised.exception, code)

    def test_the_tenant_s_own_rate_limit(self):
        # The other suites share this tenant, so the first of the three may be refused already.
        client = self.openai(world.LIMITED, max_retries=0)
        with self.assertRaises(openai.RateLimitError) as raised:
            for _ in range(3):
                client.chat.completions.create(model="gpt-sim", messages=HELLO)
        error = raised.exception
        self.assertEqual(error.response.headers["outrigger-code"], "rate-limited")
        self.assertEqual(error.response.json()["outrigger"]["code"], "rate-limited")
        self.assertEqual(error.response.headers["x-should-retry"], "true")
        self.assertIn(int(error.response.headers["retry-after"]), range(1, 61))
        self.assertEqual(error.response.headers["x-ratelimit-remaining-requests"], "0")
        self.assertLessEqual(len(self.seen()), 2, "refused requests are not sent on")

    def test_the_sdks_wait_as_long_as_they_are_told(self):
        calls = {
            openai.RateLimitError: lambda: self.openai(world.LIMITED, max_retries=1).chat.completions.create(
                model="gpt-sim", messages=HELLO
            ),
            anthropic.RateLimitError: lambda: self.anthropic(world.LIMITED, max_retries=1).messages.create(
                model="claude-sim", max_tokens=9, messages=HELLO
            ),
        }
        for kind, call in calls.items():
            with self.subTest(kind.__module__), mock.patch("time.sleep") as slept, self.assertRaises(kind) as raised:
                for _ in range(3):
                    call()
            told = int(raised.exception.response.headers["retry-after"])
            self.assertEqual(raised.exception.response.request.headers["x-stainless-retry-count"], "1")
            (waited,) = slept.call_args.args
            self.assertTrue(0 < waited <= 60 and abs(waited - told) <= 1, f"told {told}, waited {waited}")


if __name__ == "__main__":
    unittest.main()
