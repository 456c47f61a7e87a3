"""call_soon: order, arguments, exactly once."""

import asyncio

from loopproof.authoring import requires


@requires("SCHED-CALL_SOON-02")
async def test_callbacks_run_in_the_order_of_registration(loop: asyncio.AbstractEventLoop) -> None:
    """Callbacks run in the order in which they were registered."""
    order: list[int] = []
    done = loop.create_future()
    for number in range(5):
        loop.call_soon(order.append, number)
    loop.call_soon(done.set_result, None)
    await done
    assert order == [0, 1, 2, 3, 4]
