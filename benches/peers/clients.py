"""The same job through the Python clients, each as its documentation shows it.

usage: clients.py CLIENT INPUT OUTPUT BASE_URL CONCURRENCY RETRIES REQUESTS_PER_MINUTE
"""

import asyncio
import json
import sys

client_name, source, target, base_url, concurrency, retries, per_minute = sys.argv[1:]
concurrency, retries = int(concurrency), int(retries)
rows = [json.loads(line) for line in open(source)]
TIMEOUT = 600


def write(results):
    with open(target, "w") as out:
        for row, result in results:
            key = "error" if isinstance(result, Exception) else "answer"
            out.write(json.dumps({"id": row["custom_id"], key: str(result)}) + "\n")


def sequential():
    from openai import OpenAI

    client = OpenAI(base_url=base_url, api_key="sk-peer", max_retries=retries, timeout=TIMEOUT)
    for row in rows:
        try:
            answer = client.chat.completions.create(**row["body"])
            yield row, answer.choices[0].message.content
        except Exception as error:  # noqa: BLE001 - a lost row is what is counted
            yield row, error


async def at_once(ask):
    slots = asyncio.Semaphore(concurrency)

    async def one(row):
        async with slots:
            try:
                answer = await ask(row["body"])
                return row, answer.choices[0].message.content
            except Exception as error:  # noqa: BLE001
                return row, error

    return await asyncio.gather(*(one(row) for row in rows))


async def openai_python(with_aiohttp):
    from openai import AsyncOpenAI, DefaultAioHttpClient

    more = {"http_client": DefaultAioHttpClient()} if with_aiohttp else {}
    client = AsyncOpenAI(
        base_url=base_url, api_key="sk-peer", max_retries=retries, timeout=TIMEOUT, **more
    )
    async with client:
        return await at_once(lambda body: client.chat.completions.create(**body))


async def litellm_plain():
    import litellm

    litellm.suppress_debug_info = True

    def ask(body):
        model = "openai/" + body["model"]
        return litellm.acompletion(
            **{**body, "model": model},
            api_base=base_url,
            api_key="sk-peer",
            num_retries=retries,
            timeout=TIMEOUT,
        )

    return await at_once(ask)


async def litellm_router():
    import litellm

    litellm.suppress_debug_info = True
    params = {
        "model": "openai/" + rows[0]["body"]["model"],
        "api_base": base_url,
        "api_key": "sk-peer",
        "max_parallel_requests": concurrency,
        "timeout": TIMEOUT,
    }
    if per_minute != "none":
        params["rpm"] = int(per_minute)
    model = rows[0]["body"]["model"]
    router = litellm.Router(
        model_list=[{"model_name": model, "litellm_params": params}],
        num_retries=retries,
        # One deployment: cooling it down would only refuse what it could take.
        disable_cooldowns=True,
    )
    return await at_once(lambda body: router.acompletion(**body))


RUNS = {
    "sequential": lambda: sequential(),
    "openai-httpx": lambda: asyncio.run(openai_python(False)),
    "openai-aiohttp": lambda: asyncio.run(openai_python(True)),
    "litellm": lambda: asyncio.run(litellm_plain()),
    "litellm-router": lambda: asyncio.run(litellm_router()),
}
write(RUNS[client_name]())
