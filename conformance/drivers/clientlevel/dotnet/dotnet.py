"""What both clients need of .NET under asyncio. It can be imported when the runtime has been started."""

import asyncio

from System import Action, Array, Int32, Object


async def finished(task):
    """Waits for a Task and gives its result, or raises its exception."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    awaiter = task.GetAwaiter()
    awaiter.OnCompleted(Action(lambda: loop.call_soon_threadsafe(end.set)))
    await end.wait()
    return awaiter.GetResult()


def objects(items):
    """Gives an array of objects in which numbers and lists have the types that a program in C# would give them."""
    return Array[Object]([objects(x) if isinstance(x, list) else Int32(x) if type(x) is int else x for x in items])
