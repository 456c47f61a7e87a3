"""What a loop can do at all, and whether its profile says so: one missing method is one finding, here."""

import asyncio
import inspect
from collections.abc import Callable

import pytest

from loopproof.authoring import requires
from loopproof.plugin.claims import Claims
from loopproof.plugin.probes import PROBES

METHODS = sorted(name for name in vars(asyncio.AbstractEventLoop) if not name.startswith("_"))

SETTLED_ELSEWHERE = {
    ("sock_recv", "n"),
    ("sock_recv", "nbytes"),
    ("create_datagram_endpoint", "reuse_address"),
}
"""Parameters on whose names the abstract class and the stock loops of the same release disagree."""


@requires("ABC-ABSTRACTEVENTLOOP-01")
def test_a_loop_is_an_abstract_event_loop(loop: asyncio.AbstractEventLoop) -> None:
    """A loop object is an instance of asyncio.AbstractEventLoop."""
    assert isinstance(loop, asyncio.AbstractEventLoop), f"the bases of its type are {type(loop).__mro__[1:]}"


@pytest.mark.parametrize("method", METHODS)
@requires("ABC-ABSTRACTEVENTLOOP-02")
def test_every_method_exists(loop: asyncio.AbstractEventLoop, method: str) -> None:
    """Every method of AbstractEventLoop exists on the loop and is callable."""
    assert callable(getattr(loop, method, None)), f"the loop has no method {method}()"


@pytest.mark.parametrize("capability", sorted(PROBES))
@requires("ABC-ABSTRACTEVENTLOOP-03")
def test_the_loop_does_what_its_profile_says(claims: Claims, capability: str) -> None:
    """What the loop lacks raises NotImplementedError and is declared in its profile; what it has is not."""
    if not claims.tried:
        pytest.skip("nothing was tried: --trust-profile")
    finding = claims.finding(capability)
    assert finding is None, finding


@requires("LIFE-CLOSE-10")
def test_a_loop_that_ran_once_leaves_nothing_behind(claims: Claims) -> None:
    """Making, running and closing a loop leaves no descriptor, thread, child or warning behind."""
    if not claims.tried:
        pytest.skip("nothing was tried: --trust-profile")
    assert not claims.leaves, f"each loop leaves behind: {', '.join(sorted(claims.leaves))}"


@pytest.mark.parametrize("method", METHODS)
@requires("ABC-ABSTRACTEVENTLOOP-04")
def test_every_documented_parameter_may_be_given_by_name(
    new_loop: Callable[[], asyncio.AbstractEventLoop], claims: Claims, method: str
) -> None:
    """A method accepts the parameter names that the stock loop of the same interpreter accepts."""
    if method in claims.absent:
        pytest.skip(f"the loop does not implement {method}()")
    stock = getattr(asyncio.SelectorEventLoop, method)
    try:
        accepted = inspect.signature(getattr(new_loop(), method)).parameters
    except ValueError:
        pytest.skip("the loop's method does not tell its signature")
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        return
    by_name = {name for name, parameter in accepted.items() if parameter.kind not in BY_POSITION}
    expected = [
        name
        for name, parameter in list(inspect.signature(stock).parameters.items())[1:]
        if parameter.kind not in BY_POSITION and (method, name) not in SETTLED_ELSEWHERE
    ]
    missing = [name for name in expected if name not in by_name]
    assert not missing, f"{method}() does not accept the keyword{'s' * (len(missing) > 1)} {', '.join(missing)}"


BY_POSITION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
)


@requires("ABC-ABSTRACTEVENTLOOP-10")
def test_a_loop_is_hashable_and_compares_by_identity(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """A loop object is hashable and equal to itself alone."""
    one, other = new_loop(), new_loop()
    assert {one: 1, other: 2}[one] == 1
    assert one == one
    assert one != other
