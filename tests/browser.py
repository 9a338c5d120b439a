"""A real browser that opens a page of ours, without a window: Chromium, spoken to by its DevTools protocol."""

import asyncio
import base64
import itertools
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0"),
)
SECONDS_TO_START = 60
SECONDS_TO_ANSWER = 60


def installed_browser() -> str | None:
    """The program of a Chromium of this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A page that is open."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse):
        self._socket, self._numbers = socket, itertools.count(1)
        self.said: list[str] = []
        """What the page wrote on its console, what it threw, and what its policy refused."""
        self.asked: list[str] = []
        """The addresses that it asked for."""

    async def call(self, method: str, **parameters) -> dict:
        """Call a method of the protocol, and note what happens until it answers."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=SECONDS_TO_ANSWER)
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]
            self._note(message)

    def _note(self, message: dict) -> None:
        found, method = message.get("params", {}), message.get("method")
        if method == "Runtime.exceptionThrown":
            self.said.append(str(found["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.said.append(str([argument.get("value") for argument in found["args"]]))
        elif method == "Log.entryAdded":
            self.said.append(found["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(found["request"]["url"])

    async def open(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        for domain in ("Runtime", "Log", "Network", "Page"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    async def value(self, expression: str) -> object:
        """The value of an expression of JavaScript; a promise is waited for."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        for _ in range(SECONDS_TO_ANSWER * 20):
            if await self.value(f"Boolean({expression})"):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {expression}; the page said {self.said}")

    async def picture(self, file: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Save a picture of what a window of this size shows."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=scheme)
        taken = await self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(taken["data"]))


@asynccontextmanager
async def opened(address: str, profile: Path) -> AsyncIterator[Page]:
    """Open an address in a browser of its own, whose profile is this new folder; end it with the block."""
    program = installed_browser()
    browser = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort", browser)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [entry for entry in await answer.json() if entry["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                await page.open(address)
                yield page
    finally:
        browser.terminate()
        browser.wait()


async def _port(file: Path, browser: subprocess.Popen) -> str:
    for _ in range(SECONDS_TO_START * 20):
        if file.exists() and (lines := file.read_text().splitlines()):
            return lines[0]
        assert browser.poll() is None, "the browser did not start"
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not say its port")
