"""The browser extension in a real browser: its button, its popup, what it shows over a page."""

import importlib.util
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from playwright.sync_api import BrowserContext, CDPSession, Page, Worker

FOLDER = Path(__file__).parent.parent.parent / "browser-extension"

_TIMEOUT_S = 30.0  # on a busy machine; nothing waits so long by itself
_LOOK_AGAIN_MS = 50.0


def load_assembler() -> ModuleType:
    """The program that makes the folder that browsers load."""
    spec = importlib.util.spec_from_file_location("assemble_extension", FOLDER / "assemble.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Target:
    """A page of the browser that Playwright does not hand out, over its debugging protocol.

    Attributes:
        complaints: What its console says of errors.
    """

    def __init__(self, cdp: CDPSession, target_id: str, wait: Callable[[], None]) -> None:
        self._cdp, self._wait = cdp, wait
        self._numbers = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self.complaints: list[str] = []
        cdp.on("Target.receivedMessageFromTarget", self._receive)
        attached = cdp.send("Target.attachToTarget", {"targetId": target_id, "flatten": False})
        self._session = attached["sessionId"]
        for domain in ("Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: object) -> Any:
        """Its answer to a command of the protocol."""
        number = next(self._numbers)
        message = json.dumps({"id": number, "method": method, "params": parameters})
        self._cdp.send(
            "Target.sendMessageToTarget", {"sessionId": self._session, "message": message}
        )
        while number not in self._answers:
            self._wait()
        return self._answers.pop(number)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, awaited."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _receive(self, event: dict[str, Any]) -> None:
        if event["sessionId"] != self._session:
            return
        message = json.loads(event["message"])
        if "id" in message:
            assert "error" not in message, message
            self._answers[message["id"]] = message["result"]
        elif message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(message["params"]["exceptionDetails"]["text"])
        elif message["method"] == "Log.entryAdded":
            entry = message["params"]["entry"]
            if entry["level"] in ("error", "warning"):
                self.complaints.append(entry["text"])


@dataclass
class Extension:
    """An installed one.

    Attributes:
        worker: Its service worker.
    """

    context: BrowserContext
    cdp: CDPSession
    worker: Worker

    @property
    def id(self) -> str:
        return self.worker.url.split("/")[2]

    @property
    def popup_url(self) -> str:
        return f"chrome-extension://{self.id}/popup.html"

    def click_button(self, page: Page) -> Target:
        """Click on the extension's button while ``page`` is in front; gives the popup.

        The browser takes this for the person's own gesture: it opens the popup and lets the
        extension into this tab, and into no other.
        """
        page.bring_to_front()
        tab = self._target(page, "tab", page.url)
        self.cdp.send("Extensions.triggerAction", {"id": self.id, "targetId": tab})
        popup = self.attach(page, self.popup_url)
        wait_until(page, lambda: popup.evaluate("document.querySelector('#server')?.value"))
        return popup

    def attach(self, page: Page, url: str) -> Target:
        """A page of the extension, as soon as it is there."""
        target = self._target(page, "page background_page", url)
        return Target(self.cdp, target, lambda: page.wait_for_timeout(_LOOK_AGAIN_MS))

    def start(self, page: Page) -> None:
        """Click on the button, then on Start in its popup."""
        popup = self.click_button(page)
        popup.evaluate("document.querySelector('#record').click()")
        wait_until(page, lambda: self.state()["phase"] != "closed" or self.state()["problem"])
        # The browser says so itself where no server is.
        assert all("ERR_CONNECTION_REFUSED" in each for each in popup.complaints)
        popup.evaluate("setTimeout(() => close())")

    def choose(self, **settings: object) -> None:
        """Set what is kept by the extension; the rest is as on the first day."""
        self.worker.evaluate("settings => chrome.storage.local.set({settings})", settings)

    def state(self) -> Any:
        """What the service worker says it does."""
        return self.worker.evaluate(
            "chrome.storage.session.get('state').then(({state}) => state ?? {phase: 'closed'})"
        )

    def badge(self, page: Page) -> str:
        """What the button shows while ``page`` is in front."""
        page.bring_to_front()
        text = self.worker.evaluate(
            "chrome.tabs.query({active: true, lastFocusedWindow: true})"
            ".then(([tab]) => chrome.action.getBadgeText({tabId: tab.id}))"
        )
        return str(text)

    def _target(self, page: Page, types: str, url: str) -> str:
        """Its name in the debugging protocol."""
        found: list[str] = []

        def look() -> bool:
            targets = self.cdp.send("Target.getTargets", {"filter": [{}]})["targetInfos"]
            found.extend(
                each["targetId"]
                for each in targets
                if each["type"] in types.split() and each["url"] == url
            )
            return bool(found)

        wait_until(page, look)
        return found[-1]


class Overlay:
    """The captions over a page. Its shadow root is closed, so not even Playwright looks inside."""

    def __init__(self, page: Page) -> None:
        self._cdp = page.context.new_cdp_session(page)

    def text(self, class_name: str) -> str | None:
        """What is to be read in the elements of a class; None without an overlay."""
        return self._call(
            "name => [...this.querySelectorAll('.' + name)]"
            ".filter(each => each.checkVisibility()).map(each => each.innerText).join(' ')",
            class_name,
        )

    def click(self, label: str) -> None:
        """Click on a button by what screen readers call it."""
        find = "label => [...this.querySelectorAll('button')].find(b => b.ariaLabel === label)"
        assert self._call(f"label => ({find})(label)?.click() ?? true", label)

    def focus(self, class_name: str) -> None:
        """Put the keyboard on an element."""
        self._call("name => this.querySelector('.' + name).focus()", class_name)

    def top_layer(self) -> list[str]:
        """What the browser draws over all else on the page, the topmost at last."""
        self._cdp.send("DOM.getDocument", {"depth": -1})
        nodes = self._cdp.send("DOM.getTopLayerElements")["nodeIds"]
        described = [self._cdp.send("DOM.describeNode", {"nodeId": node}) for node in nodes]
        names = [each["node"]["nodeName"].lower() for each in described]
        return [name for name in names if name != "::backdrop"]

    def _call(self, function: str, argument: str) -> Any:
        """What an arrow function gives in which ``this`` is the shadow root."""
        document = self._cdp.send("DOM.getDocument", {"depth": -1, "pierce": True})["root"]
        root = next(_closed_roots(document), None)
        if root is None:
            return None
        there = self._cdp.send("DOM.resolveNode", {"backendNodeId": root["backendNodeId"]})
        answer = self._cdp.send(
            "Runtime.callFunctionOn",
            {
                "objectId": there["object"]["objectId"],
                "functionDeclaration": f"function (argument) {{ return ({function})(argument) }}",
                "arguments": [{"value": argument}],
                "returnByValue": True,
            },
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


def _closed_roots(node: Any) -> Iterator[Any]:
    for child in (*node.get("shadowRoots", ()), *node.get("children", ())):
        if child.get("shadowRootType") == "closed":
            yield child
        yield from _closed_roots(child)


def wait_until(page: Page, is_so: Callable[[], object]) -> None:
    """Look again until it is so; the browser goes on meanwhile."""
    give_up_at = time.monotonic() + _TIMEOUT_S
    while not is_so():
        assert time.monotonic() < give_up_at
        page.wait_for_timeout(_LOOK_AGAIN_MS)
