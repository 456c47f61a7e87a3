"""Profiles and the names of loops: those that are shipped hold, and what is wrong is said in one line."""

import asyncio
import platform
from pathlib import Path

import pytest

from loopproof import profiles
from loopproof.capabilities import CAPABILITIES
from loopproof.loops import LoopError, LoopSpec
from loopproof.plugin.probes import PROBES
from loopproof.profiles import Profile, ProfileError

CASE = "scheduling/test_call_soon.py::test_callbacks_run_in_the_order_of_registration"
PROFILE = f"""\
name = "some"
factory = "some:new_event_loop"
lacks = ["tls", "unix"]

[[deviation]]
requirement = "SCHED-CALL_SOON-02"
versions = "<2"
reason = "runs them backwards"

[[deviation]]
case = "{CASE}"
verdicts = ["crash"]
python = ">=3.4"
reason = "dies"
"""


def test_every_capability_is_probed() -> None:
    assert PROBES.keys() == CAPABILITIES.keys()


def test_every_capability_names_methods_of_a_loop() -> None:
    for name, capability in CAPABILITIES.items():
        for method in capability.methods:
            assert hasattr(asyncio.AbstractEventLoop, method), f"{name}: {method}"


@pytest.mark.parametrize("name", sorted(profiles.known()))
def test_shipped_profiles_are_valid_and_named_like_their_file(name: str) -> None:
    profile = profiles.named(name)
    assert profile is not None
    assert profile.name == name


def test_a_deviation_excuses_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(PROFILE)
    profile = Profile.load(path)
    assert profile.lacks == {"tls", "unix"}
    ids = ["SCHED-CALL_SOON-02"]
    backwards = profile.deviation_for("scheduling/test_other.py::test_x", ids, "fail")
    assert backwards is not None
    assert backwards.reason == "runs them backwards"
    assert profile.deviation_for("scheduling/test_other.py::test_x", ids, "crash") is None
    assert profile.deviation_for("scheduling/test_other.py::test_x", ["SCHED-CALL_SOON-03"], "fail") is None
    dies = profile.deviation_for(f"{CASE}[7]", ["SCHED-CALL_SOON-03"], "crash")
    assert dies is not None
    assert dies.reason == "dies"
    assert profile.applying_to("1.9").deviations == (backwards, dies)
    assert profile.applying_to("2.0").deviations == (dies,)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name = ", "nmae = ", "unknown field nmae"),
        ('name = "some"', 'name = ""', "name must be a text"),
        ("some:new_event_loop", "some", "MODULE:FACTORY"),
        ('"tls"', '"telepathy"', "no such capability as 'telepathy'"),
        ("SCHED-CALL_SOON-02", "SCHED-CALL_SOON-99", "no such requirement as SCHED-CALL_SOON-99"),
        (CASE, "scheduling/test_call_soon.py::test_gone", "no such case as"),
        ('"<2"', '"before 2"', "must be a specifier"),
        ('["crash"]', '["pass"]', "verdicts must be among"),
        ("reason = ", "raeson = ", "unknown field raeson"),
        ('versions = "<2"', 'intermittent = "yes"', "intermittent must be true or false"),
        ('reason = "dies"', "", "reason must be a text"),
        (f'case = "{CASE}"', f'case = "{CASE}"\nrequirement = "SCHED-CALL_SOON-02"', "not both"),
        ("[[deviation]]", "[deviation", "not TOML"),
    ],
)
def test_what_is_wrong_in_a_profile_is_said_in_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(PROFILE.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        Profile.load(path)
    assert str(caught.value).startswith(f"profile {path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loop_is_found_by_name_by_factory_and_by_package() -> None:
    assert LoopSpec.parse("uvloop").factory == "uvloop:new_event_loop"
    assert LoopSpec.parse("uvloop:new_event_loop").profile.name == "uvloop"
    assert LoopSpec.parse("uvloop:Loop").profile.name == "uvloop"
    assert LoopSpec.parse("uvloop:Loop").profile.factory == "uvloop:Loop"
    assert LoopSpec.parse("elsewhere:Loop").profile == Profile("elsewhere:Loop", "elsewhere:Loop")


def test_the_version_of_a_stock_loop_is_the_interpreters() -> None:
    assert LoopSpec.parse("asyncio").distribution() == (None, platform.python_version())


@pytest.mark.parametrize("text", ["", "nonsense", ":", "a:", ":b", "a b:c", "asyncio:1"])
def test_what_is_no_loop_is_said_in_one_line(text: str) -> None:
    with pytest.raises(LoopError) as caught:
        LoopSpec.parse(text)
    assert "is no loop" in str(caught.value)
    assert "\n" not in str(caught.value)


class Policy:
    """Makes loops as a policy of asyncio does."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop()


def test_a_policy_class_stands_for_the_loops_that_it_makes() -> None:
    spec = LoopSpec.parse(f"{__name__}:Policy")
    loop = spec.make(spec.resolve())
    assert isinstance(loop, asyncio.SelectorEventLoop)
    loop.close()
