"""What schemathesis cannot know by itself: our own check of the original API, which objects there are and what a request
for them says, and that nothing leaves this machine.

Every fifth request of an operation stays as it was made up; the others are given what lets them come through. Requests
that are meant to be wrong stay wrong. At the end it is written down how often which operation was answered how.
"""

import atexit
import collections
import itertools
import json
import os
import secrets
import sys

import schemathesis

sys.path.insert(0, os.path.dirname(os.environ["MAXPAY_HOOKS"]))

from objects import NOWHERE, Objects, wanted  # noqa: E402

AS_IT_IS = 5
CHANNELS = ["wx_native", "ali_app", "ali_web", "wx_jsapi", "wx_h5", "unipay_web", "unipay_app", "apple_pay"]
COMMANDS = ["pay", "decline", "close", "pay_twice", "pay_other:7", "notify_twice", "lose_reply", "notify_forged"]
EVENTS = ["payment.succeeded", "payment.closed", "payment.failed", "payment.duplicate"]

turns = collections.defaultdict(itertools.count)
answers = collections.defaultdict(collections.Counter)
seen = set()
read = {}
objects = None


@schemathesis.check
def bad_is_never_code_0(ctx, response, case):
    """Bad input, or a credential that does not hold: `code` is an integer other than 0, and `err` says why."""
    answer = response.json()
    code = answer.get("code")
    assert isinstance(code, int) and not isinstance(code, bool), f"code is no integer: {answer}"
    if is_bad(case, "BODY"):
        assert code != 0, f"bad input was taken: {answer}"
    assert (code == 0) != ("err" in answer), f"code and err disagree: {answer}"
    if code != 0:
        assert isinstance(answer["err"], str) and answer["err"], f"err says nothing: {answer}"
    forged = case.call(headers={"X-ML-MasterKey": "forged"}).json()
    assert forged.get("code") != 0, f"a forged key was taken: {forged}"


def is_bad(case, name):
    """Whether that part of a request is one that the description forbids; a header that nobody knows is no bad input."""
    components = {} if case.meta is None else case.meta.components
    return any(place.name == name and what.mode.is_negative for place, what in components.items())


@schemathesis.hook
def map_body(ctx, body):
    """Webhooks to anywhere are turned to a port of this machine where nobody listens."""
    target = body.get("target") if isinstance(body, dict) else None
    if isinstance(target, dict) and isinstance(target.get("url"), str) and target["url"].startswith("http"):
        target["url"] = NOWHERE["target"]["url"]
    return body


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Gives a request an object that is there, and what its operation needs to know of it."""
    global objects
    objects = objects or Objects()
    name = f"{case.operation.method.upper()} {case.operation.path}"
    turn = next(turns[name])
    made = find(case, name, turn) if case.path_parameters else {}
    if turn % AS_IT_IS == AS_IT_IS - 1:
        return
    if not is_bad(case, "HEADER"):
        # The same key was given before, with another body.
        case.headers.pop("Idempotency-Key", None)
    if isinstance(case.body, dict) and not is_bad(case, "BODY"):
        complete(name, case.body, made, turn)


def find(case, name, turn):
    """Puts an object into the path, unless a request before told of the one that is there and nobody else needs it."""
    ids, make = case.path_parameters, wanted(case.operation.path)
    if name == "DELETE /v1/ops/keys/{id}" and not is_bad(case, "PATH"):
        # The list tells of one key alone, by which all of this is asked, and none is issued over HTTP.
        ids["id"] = "66f0a1b2c3d4e5f600000000"
    if make is None or is_bad(case, "PATH"):
        return {}
    follows = case.meta is not None and case.meta.phase.name.name == "STATEFUL"
    if follows and turn % 2 == 0 and all(ids[field] in seen for field in ids if field != "command"):
        return {"id": ids["id"]}
    reads = name.startswith("GET ")
    made = read.get(name) or make(objects)
    if reads:
        read[name] = made
    ids.update({field: made[field] for field in ("id", "key_id") if field in ids})
    if "command" in ids:
        ids["command"] = COMMANDS[turn % len(COMMANDS)]
    return made


def complete(name, body, made, turn):
    """Gives a body what no description can say: names that are used, and fields that go together."""
    if name == "POST /v1/transactions":
        complete_payment(body, CHANNELS[turn % len(CHANNELS)])
    elif name.endswith("/authorize"):
        body["token"] = {"version": "SANDBOX_v1", "transaction_id": secrets.token_hex(32)}
    elif name.endswith("/evidence"):
        paid = body.get("outcome") == "paid"
        body["number"] = made.get("id", body.get("number"))
        amount = {"amount_minor": 100, "currency": "CNY"}
        body.update({"amount": amount, "channel_trade_number": str(turn)} if paid else {})
        for field in () if paid else ("amount", "channel_trade_number"):
            body.pop(field, None)
    elif name.endswith("/accept_mismatch") and made.get("receipts"):
        body["channel_trade_number"] = made["receipts"][0]["channel_trade_number"]
    elif name == "POST /v1/accounts":
        body.update(adapter="sandbox", codes=CHANNELS[: turn % 3], settings=objects.settings())
    elif name == "PATCH /v1/accounts/{id}":
        body["codes"] = CHANNELS[: turn % 3]
        body.pop("settings", None)
    elif name in ("POST /v1/subscriptions", "PATCH /v1/subscriptions/{id}"):
        body.update(NOWHERE, headers=[{"name": f"X-{turn}", "value": "a"}], event_types=EVENTS[: turn % 4])
        body.pop("secret", None)
    elif name == "POST /v1/subscriptions/{id}/test":
        body["event_type"] = EVENTS[turn % len(EVENTS)]
    elif name == "POST /v1/apps/{id}/keys":
        for field in ("import", "owner", "expires_at"):
            body.pop(field, None)


def complete_payment(body, channel):
    body.update(channel=channel, bill_num=f"given-{secrets.token_hex(8)}", return_url="https://shop.example/back")
    body["amount"] = {"amount_minor": min(body["amount"]["amount_minor"], 10_000_000_000), "currency": "CNY"}
    body["payer"] = {"openid": "o-1", "client_ip": "192.0.2.1", "h5_type": "Wap"}
    body.pop("timeout_seconds", None)


@schemathesis.hook
def after_call(ctx, case, response):
    """Remembers what was answered, and which objects there are."""
    answers[f"{case.operation.method.upper()} {case.operation.path}"][str(response.status_code)] += 1
    if response.status_code in (200, 201, 202) and case.method.upper() == "POST":
        answer = response.json()
        if isinstance(answer, dict):
            told = (answer, answer.get("app") or {})
            seen.update(value["id"] for value in told if "id" in value)
            seen.difference_update(objects.kept)


@atexit.register
def tell():
    with open(os.environ["MAXPAY_ANSWERS"], "w", encoding="utf-8") as file:
        json.dump(answers, file)
