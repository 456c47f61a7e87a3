"""A headless Chromium for tests: what a page showed, said on its console and asked the network for."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.keys import Keys
except ImportError as error:
    MISSING: str | None = str(error)
else:
    browsers = [found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))]
    driver = shutil.which("chromedriver")
    MISSING = None if browsers and driver else "no chromium with chromedriver on the path"

REQUIRED = bool(os.environ.get("CI")) or os.environ.get("LOOPPROOF_REQUIRE_BROWSER") == "1"
"""A machine that must have a browser: its absence fails the tests instead of skipping them."""


def required() -> None:
    """Skip, or fail where a browser is required, if there is none."""
    if MISSING is not None:
        (pytest.fail if REQUIRED else pytest.skip)(f"{MISSING} (apt-get install chromium-driver, pip install selenium)")


class Browser:
    """One window of the browser. A page is opened anew with `show`."""

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = browsers[0]
        for argument in ("--headless=new", "--disable-dev-shm-usage", f"--user-data-dir={folder}", "--no-first-run"):
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium refuses to run as root otherwise
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.driver.set_script_timeout(30)

    def close(self) -> None:
        self.driver.quit()

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def show(
        self,
        page: Path,
        state: str = "",
        *,
        width: int = 1200,
        height: int = 900,
        scheme: str = "light",
        scripts: bool = True,
    ) -> None:
        """Open a file in a window of some size, for a reader who prefers a colour scheme."""
        self.driver.get("about:blank")
        self.devtools("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.complaints()
        self.requests()
        self.driver.get(page.as_uri() + state)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return its value, in JSON's terms."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        """The one element that a selector finds."""
        (found,) = self.all(selector)
        return found

    def text(self, selector: str) -> str:
        """What a reader sees of an element, with its white space made single blanks."""
        return " ".join(self.one(selector).text.split())

    def press(self, *keys: str) -> None:
        """Press keys, by name or by character, with the focus wherever it is."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(getattr(Keys, key) if len(key) > 1 else key)

    def until(self, script: str, *arguments: Any) -> None:
        """Wait until an expression of the page is true; it fails after the time that scripts have."""
        wait = """const given = arguments, done = given[given.length - 1];
            (function look() { if (%s) done(); else setTimeout(look, 10); })();"""
        self.driver.execute_async_script(wait % script, *arguments)

    def focused(self) -> dict[str, Any]:
        """The element that has the focus: its name, classes, data and whether that shows."""
        return self.run(
            """const e = document.activeElement, s = getComputedStyle(e);
            return {tag: e.tagName, id: e.id, classes: [...e.classList], data: {...e.dataset},
                    text: e.innerText, outlined: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0};"""
        )

    def complaints(self) -> list[str]:
        """What went to the console since the last call: errors, warnings, violations of the page's policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
