"""Drives a simulator with OpenAI's own client; the first argument is its address.

It ends with "all is well" if each step went as with the real server.
"""

import base64
import json
import struct
import sys
import time

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-right", timeout=20, max_retries=2)
hello = [{"role": "user", "content": "Hello!"}]


def chats():
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=hello, n=2)
    assert len(reply.choices) == 2
    usage = reply.usage
    assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens
    assert usage.prompt_tokens_details.cached_tokens == 0
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=hello, stream=True, stream_options={"include_usage": True}
    )
    text, seen = "", None
    for chunk in stream:
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        seen = chunk.usage or seen
    assert text == reply.choices[0].message.content, text
    assert seen.total_tokens > 0


def tools():
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str
        age: int

    reply = client.chat.completions.parse(
        model="gpt-4o-mini", messages=hello, response_format=Person
    )
    assert reply.choices[0].message.parsed.age == 1


def responses():
    reply = client.responses.create(model="gpt-5", input="Hello!")
    assert reply.status == "completed" and reply.output_text
    last, numbers, text = None, [], ""
    for event in client.responses.create(model="gpt-5", input="Hello!", stream=True):
        last = event
        numbers.append(event.sequence_number)
        if event.type == "response.output_text.delta":
            text += event.delta
    assert text == reply.output_text
    assert last.type == "response.completed"
    assert numbers == sorted(set(numbers))
    with client.responses.stream(model="gpt-5", input="Hello!") as stream:
        assert stream.get_final_response().output_text == text


def others():
    # Without a format, the client asks for base64 and decodes it.
    reply = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert len(reply.data) == 2 and len(reply.data[0].embedding) == 1536
    floats = client.embeddings.create(
        model="text-embedding-3-small", input="a", encoding_format="float", dimensions=16
    )
    packed = client.embeddings.create(
        model="text-embedding-3-small", input="a", encoding_format="base64", dimensions=16
    )
    numbers = struct.unpack("<16f", base64.b64decode(packed.data[0].embedding))
    pairs = zip(numbers, floats.data[0].embedding)
    assert all(abs(one - other) < 1e-6 for one, other in pairs)
    flags = [each.flagged for each in client.moderations.create(input=["kill", "hello"]).results]
    assert flags == [True, False]
    assert client.completions.create(model="m", prompt="Say", max_tokens=5).choices[0].text
    assert any(model.id == "gpt-4o-mini" for model in client.models.list())
    assert client.models.retrieve("gpt-4o-mini").object == "model"


def errors():
    for marker in ("meet 500", "meet 429"):
        # The server fails the first of these by a script that the test set up.
        said = [{"role": "user", "content": marker}]
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=said)
        assert raw.retries_taken == 1, (marker, raw.retries_taken)
    for key, wanted in (("sk-wrong", "invalid_api_key"),):
        try:
            client.with_options(api_key=key).models.list()
            raise AssertionError("a wrong key was taken")
        except openai.AuthenticationError as error:
            assert error.code == wanted and error.request_id.startswith("req_")
    try:
        client.chat.completions.create(model="no-such-model", messages=hello)
        raise AssertionError("an unknown model was taken")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    try:
        client.chat.completions.create(model="gpt-4o-mini", messages=hello, max_tokens=-1)
        raise AssertionError("a wrong number was taken")
    except openai.BadRequestError as error:
        assert (error.param, error.code) == ("max_tokens", "integer_below_min_value")


def wait_for(batch, status):
    for _ in range(1000):
        batch = client.batches.retrieve(batch.id)
        if batch.status == status:
            return batch
        time.sleep(0.01)
    raise AssertionError(f"{batch.status} instead of {status}")


def start_batch(count):
    lines = []
    for number in range(count):
        body = {"model": "gpt-4o-mini", "messages": hello}
        row = {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions"}
        lines.append(json.dumps({**row, "body": body}))
    content = "\n".join(lines).encode()
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    assert file.bytes == len(content)
    assert client.files.content(file.id).content == content
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )


def batches():
    batch = wait_for(start_batch(10), "completed")
    assert batch.request_counts.completed == 10 and batch.error_file_id is None
    rows = client.files.content(batch.output_file_id).text.splitlines()
    ids = {json.loads(row)["custom_id"] for row in rows}
    assert ids == {str(number) for number in range(10)}
    slow = start_batch(5000)
    assert client.batches.cancel(slow.id).status == "cancelling"
    wait_for(slow, "cancelled")
    assert [each.id for each in client.batches.list(limit=1)] == [slow.id, batch.id]
    try:
        client.with_options(max_retries=0).batches.cancel(batch.id)
        raise AssertionError("a finished batch was cancelled")
    except openai.ConflictError:
        pass
    files = [each.id for each in client.files.list(limit=2)]
    assert batch.input_file_id in files
    assert client.files.delete(batch.input_file_id).deleted


for step in (chats, tools, responses, others, errors, batches):
    step()
    print("done:", step.__name__)
print("all is well")
