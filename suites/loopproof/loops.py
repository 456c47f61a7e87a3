"""From what a user calls a loop, ``MODULE:FACTORY`` or a profile's name, to a callable that makes one."""

import asyncio
import functools
import importlib
import importlib.metadata
import inspect
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import profiles
from .profiles import Profile

Factory = Callable[[], asyncio.AbstractEventLoop]


class LoopError(Exception):
    """A loop that cannot be had: one line with its name, what is wrong, and what to do."""


@dataclass(frozen=True)
class LoopSpec:
    """A loop as it was asked for. ``text``: what the user wrote. ``factory``: MODULE:FACTORY."""

    text: str
    factory: str

    @classmethod
    def parse(cls, text: str) -> "LoopSpec":
        """Take MODULE:FACTORY or the name of a profile.

        Raises LoopError if it is neither, ProfileError if that profile is broken.
        """
        module, colon, attribute = text.partition(":")
        if not colon:
            profile = profiles.named(text)
            if profile is None:
                names = ", ".join(sorted(profiles.known()))
                raise LoopError(f"{text!r} is no loop: give MODULE:FACTORY or a profile's name ({names})")
            return cls(text, profile.factory)
        parts = [*module.split("."), *attribute.split(".")]
        if not all(part.isidentifier() for part in parts):
            raise LoopError(f"{text!r} is no loop: MODULE:FACTORY wants names of Python on both sides of the colon")
        return cls(text, text)

    @property
    def module(self) -> str:
        """The module that the factory is in."""
        return self.factory.partition(":")[0]

    @functools.cached_property
    def profile(self) -> Profile:
        """What is known of the loop, for the installed version; a bare profile where nothing is.

        Raises ProfileError.
        """
        found = profiles.named(self.text) if ":" not in self.text else profiles.of_factory(self.factory)
        profile = found or Profile(self.text, self.factory)
        return profile.applying_to(self.distribution(profile)[1])

    def distribution(self, profile: Profile | None = None) -> tuple[str | None, str | None]:
        """Return name and version of the package that the loop comes from; None where there is none.

        A loop of the standard library has the interpreter's version.
        """
        package = self.module.partition(".")[0]
        if package in sys.stdlib_module_names:
            return None, platform.python_version()
        names = [profile.distribution] if profile is not None and profile.distribution else []
        names += _distributions().get(package, [])
        for name in names:
            try:
                return name, importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        return None, None

    def resolve(self) -> Factory:
        """Import the module and return the factory; of a policy class, what makes its loops.

        Raises LoopError.
        """
        module, _, attribute = self.factory.partition(":")
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.append(here)
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not (module + ".").startswith(error.name + "."):
                raise LoopError(f"{self.text}: import of {module} failed: {_said(error)}") from None
            missing = f"there is no module {error.name}; is it installed for {sys.executable}?"
            raise LoopError(f"{self.text}: {missing}") from None
        except (Exception, SystemExit) as error:
            raise LoopError(f"{self.text}: import of {module} failed: {_said(error)}") from None
        for name in attribute.split("."):
            try:
                found = getattr(found, name)
            except AttributeError:
                raise LoopError(f"{self.text}: module {module} has no {attribute}") from None
        if inspect.isclass(found) and hasattr(found, "new_event_loop"):
            return _maker_of(found)
        if not callable(found):
            raise LoopError(f"{self.text}: {attribute} is no callable but {type(found).__name__}")
        return found

    def make(self, factory: Factory) -> asyncio.AbstractEventLoop:
        """Call the factory and return its loop if it is one that could run.

        Raises LoopError.
        """
        try:
            loop = factory()
        except (Exception, SystemExit) as error:
            raise LoopError(f"{self.text}: the factory raised {_said(error)}") from None
        if inspect.iscoroutine(loop):
            loop.close()
            raise LoopError(f"{self.text}: the factory is a coroutine function; it has to return a loop")
        for method in ("run_until_complete", "run_forever", "is_closed", "is_running", "close"):
            if not callable(getattr(loop, method, None)):
                kind = "None" if loop is None else f"an object of type {type(loop).__name__}"
                raise LoopError(f"{self.text}: the factory returned no loop but {kind} (without {method}())")
        if loop.is_closed():
            raise LoopError(f"{self.text}: the factory returned a closed loop; each call has to return a new one")
        if loop.is_running():
            raise LoopError(f"{self.text}: the factory returned a running loop; each call has to return a new one")
        return loop


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _maker_of(policy: type) -> Factory:
    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = policy().new_event_loop()
        return loop

    return new_event_loop


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": ")
