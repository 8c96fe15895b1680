"""Objects of the server under test: of every kind, and in the state in which an operation has something to do with them.

An object is made when somebody wants it, over the same API that is examined.
"""

import hashlib
import hmac
import itertools
import json
import os
import secrets
import time

import requests

SECRET = "a secret between the foreign tests and the sandbox"
SAID = {"author": "ann", "reason": "asked"}
# Nobody listens there.
NOWHERE = {"target": {"type": "url", "url": "http://127.0.0.1:9/"}}


class Objects:
    def __init__(self):
        self.url = os.environ["MAXPAY_URL"]
        self.master = os.environ["MAXPAY_MASTER_KEY"]
        self.operator = os.environ["MAXPAY_OPERATOR_KEY"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.numbers = itertools.count()
        self.made = None
        self.exhausted = []
        self.bank = None
        # What every payment of this app goes over: nobody takes it away, and no other account goes before it.
        account = self.ask("GET", "/v1/accounts")["items"][0]
        self.ask("PATCH", f"/v1/accounts/{account['id']}", {"priority": 4_294_967_295})
        self.kept = {os.environ["MAXPAY_APP_ID"], account["id"], self.subscription()["id"]}

    def ask(self, method, path, body=None, key=None):
        """Asks, and gives the answer; anything but success is a defect of this file or of the server."""
        key = key or (self.operator if path.startswith(("/v1/apps", "/v1/ops")) else self.master)
        response = self.session.request(
            method, self.url + path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=25
        )
        assert response.status_code in (200, 201, 202), f"{method} {path}: {response.status_code} {response.text}"
        return response.json()

    def is_full(self, path, body):
        """Makes one, unless there are as many as there may be."""
        try:
            self.made = self.ask("POST", path, body)
        except AssertionError as refused:
            if "limit_reached" in str(refused):
                return True
            raise
        return False

    def until(self, path, so):
        """Asks until the answer is so."""
        for _ in range(500):
            answer = self.ask("GET", path)
            if so(answer):
                return answer
            time.sleep(0.02)
        raise AssertionError(f"{path} stays {answer}")

    def transaction(self, channel="wx_native"):
        """An open one."""
        body = {
            "bill_num": f"made-{next(self.numbers)}-{secrets.token_hex(4)}",
            "channel": channel,
            "amount": {"amount_minor": 100, "currency": "CNY"},
            "subject": "A toy",
        }
        return self.ask("POST", "/v1/transactions", body)

    def wallet(self):
        """One whose payer hands over a token."""
        return self.transaction("apple_pay")

    def play(self, command):
        """One whose payer has done something."""
        made = self.transaction()
        self.ask("POST", f"/sandbox/transactions/{made['id']}/{command}", {})
        return made

    def late(self):
        """One that ended without money, and was paid for all that."""
        made = self.transaction()
        path, said = f"/v1/ops/transactions/{made['id']}/evidence", SAID | {"number": made["id"]}
        self.ask("POST", path, said | {"outcome": "not_paid"})
        self.ask("POST", path, said | {"outcome": "paid", "amount": made["amount"], "channel_trade_number": "1"})
        return made

    def mismatch(self):
        """One that was paid with another amount, and the number of that payment."""
        made = self.play("pay_other:99")
        return self.until(f"/v1/transactions/{made['id']}", lambda answer: answer["receipts"])

    def subscription(self):
        """One more. An app may have 64: when there is no room for another, the others go."""
        path = "/v1/subscriptions"
        while self.is_full(path, NOWHERE):
            for item in self.ask("GET", f"{path}?limit=100")["items"]:
                if item["id"] not in self.kept and item["state"] != "deleted":
                    self.ask("DELETE", f"{path}/{item['id']}")
        return self.made

    def account(self):
        """A second contract."""
        path = "/v1/accounts"
        if self.is_full(path, {"adapter": "sandbox", "settings": self.settings()}):
            # None goes away: one that is there has to do.
            items = self.ask("GET", f"{path}?limit=100")["items"]
            self.made = next(item for item in items if item["id"] not in self.kept)
        return self.made

    def settings(self):
        """Of a contract that the sandbox does not know."""
        return {"merchant_id": f"made-{next(self.numbers)}", "base_url": "http://sandbox.invalid", "secret": SECRET}

    def delivery(self):
        """One that has no tries left."""
        while not self.exhausted:
            self.play("pay")
            page = self.until("/v1/deliveries?state=exhausted&limit=100", lambda page: page["items"])
            self.exhausted = [item["id"] for item in page["items"]]
        return {"id": self.exhausted.pop()}

    def app(self):
        return self.ask("POST", "/v1/apps", {"name": "Second"})["app"]

    def key(self):
        """A key, and its app."""
        app = self.app()
        return {"id": app["id"], "key_id": app["keys"][0]["id"]}

    def alarm(self):
        """One that nobody has seen."""
        page = self.ask("GET", "/v1/ops/alarms?open_only=true")
        if not page["items"]:
            self.mismatch()
            page = self.until("/v1/ops/alarms?open_only=true", lambda page: page["items"])
        return page["items"][0]

    def inbox(self):
        """A notification that is verified, and speaks of what nobody knows."""
        if self.bank is None:
            made = self.ask("POST", "/v1/apps", {"name": "Bank's"})
            keys = (key for key in made["issued"] if (key["kind"], key["mode"]) == ("master", "test"))
            key = next(keys)["secret"]
            settings = self.ask("POST", "/simulator/merchants", {"secret": SECRET}, key)["settings"]
            account = {"adapter": "sandbox", "settings": settings | {"secret": SECRET}}
            self.bank = self.ask("POST", "/v1/accounts", account, key)["id"], settings["merchant_id"]
            self.kept.update((made["app"]["id"], self.bank[0]))
        account, merchant = self.bank
        number = "66f0a1b2c3d4e5f6" + secrets.token_hex(4)
        body = json.dumps({"merchant_id": merchant, "number": number, "state": "closed"}).encode()
        at = time.time_ns() // 1_000_000
        mac = hmac.new(SECRET.encode(), f"notice\n{at}\n".encode() + body, hashlib.sha256).hexdigest()
        headers = {"sandbox-signature": f"t={at},v1={mac}"}
        response = self.session.post(f"{self.url}/notify/sandbox/{account}", data=body, headers=headers, timeout=25)
        assert response.status_code == 200, f"{response.status_code} {response.text}"
        return self.ask("GET", "/v1/ops/inbox")["items"][0]


# What an operation wants in its path, by the beginning of the path; the first that fits.
WANTED = [
    ("/v1/transactions/{id}/authorize", Objects.wallet),
    ("/v1/transactions/{id}/payer_session", Objects.wallet),
    ("/v1/transactions/{id}", Objects.transaction),
    ("/sandbox/transactions/{id}", Objects.transaction),
    ("/v1/ops/transactions/{id}/accept_late", Objects.late),
    ("/v1/ops/transactions/{id}/accept_mismatch", Objects.mismatch),
    ("/v1/ops/transactions/{id}", Objects.transaction),
    ("/v1/subscriptions/{id}", Objects.subscription),
    ("/v1/deliveries/{id}", Objects.delivery),
    ("/v1/ops/accounts/{id}", Objects.account),
    ("/v1/accounts/{id}", Objects.account),
    ("/v1/apps/{id}/keys/{key_id}", Objects.key),
    ("/v1/apps/{id}", Objects.app),
    ("/v1/ops/alarms/{id}", Objects.alarm),
    ("/v1/ops/inbox/{id}", Objects.inbox),
]


def wanted(path):
    """What makes an object for this path. `None`: nothing does; a record is set aside by a defect alone."""
    return next((make for start, make in WANTED if path.startswith(start)), None)
