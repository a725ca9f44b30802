"""Where the suite runs: Outrigger before the simulator, both already started, named by the environment.

OUTRIGGER_URL          the proxy listener, such as http://127.0.0.1:8470
OUTRIGGER_KEY          a virtual key of a tenant with generous limits
OUTRIGGER_KEY_LIMITED  one of a tenant that may make two requests per minute
OUTRIGGER_KEY_STRICT   one of a tenant that may use gpt-sim and claude-sim, and no hosted tools
SIMULATOR_URL          the simulator itself, for what it has seen
"""

import json
import logging
import os
import time
import unittest
import urllib.request
import uuid

URL = os.environ["OUTRIGGER_URL"].rstrip("/")
KEY = os.environ["OUTRIGGER_KEY"]
LIMITED = os.environ["OUTRIGGER_KEY_LIMITED"]
STRICT = os.environ["OUTRIGGER_KEY_STRICT"]
SIMULATOR = os.environ["SIMULATOR_URL"].rstrip("/")

OPENAI_BASES = [f"{URL}/openai/v1", f"{URL}/openai"]
ANTHROPIC_BASES = [f"{URL}/anthropic", f"{URL}/anthropic/v1"]

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
    "required": ["city", "unit"],
}
TOOL_ANSWER = {"city": "sample city", "unit": "C"}

GREETING = "This is a simulated answer to: Hello there"


# The unittest loop runs in debug mode, which tells of every step that a busy machine slows down.
logging.getLogger("asyncio").setLevel(logging.ERROR)


class Case(unittest.TestCase):
    """One test with a mark of its own, by which its requests are found again at the simulator."""

    def setUp(self):
        super().setUp()
        self.mark = uuid.uuid4().hex
        self.marked = {"x-test-mark": self.mark}

    def seen(self):
        """What reached the simulator from this test, in order."""
        with urllib.request.urlopen(f"{SIMULATOR}/sim/requests") as answer:
            requests = json.load(answer)["requests"]
        return [entry for entry in requests if ["x-test-mark", self.mark] in entry["headers"]]

    def wait_for_answer(self, state, seconds=10):
        """Waits until the only answer given to this test is `complete` or `dropped`."""
        deadline = time.monotonic() + seconds
        while True:
            states = [entry["answer"] for entry in self.seen()]
            if states == [state] or time.monotonic() > deadline:
                return self.assertEqual(states, [state])
            time.sleep(0.02)

    def assert_refused(self, error, code):
        """A refusal of Outrigger's own: named by its code in both places, and given up at the first attempt."""
        self.assertEqual(error.response.headers["outrigger-code"], code)
        self.assertEqual(error.response.json()["outrigger"]["code"], code)
        self.assertTrue(error.response.headers["outrigger-request-id"])
        self.assertEqual(error.response.headers["x-should-retry"], "false")
        self.assertEqual(error.response.request.headers["x-stainless-retry-count"], "0")
        self.assertEqual(self.seen(), [], "nothing may reach the provider")


def header(entry, name):
    """All values of one header in what the simulator saw."""
    return [value for key, value in entry["headers"] if key == name]
