"""What people do in a channel, and what befalls their devices, each a rule."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from services.chat.tests.support.channel_model import Role, Said
from services.chat.tests.support.modelled_channel import (
    DEVICES,
    NAMES,
    ModelledChannel,
    Text,
    seq_of,
)
from services.chat.tests.support.replica import Replica
from services.chat.tests.support.world import Json

anyone: Final = st.integers(0, len(NAMES) - 1)
# Mostly those who are in the channel: others are refused, and nothing happens. See `who`.
people: Final = st.integers(0, 15)
devices: Final = st.integers(0, sum(DEVICES) - 1)
picks: Final = st.integers(0, 20)
roles: Final = st.sampled_from(["owner", "admin", "member"])
emoji: Final = st.sampled_from(["👍", ":tada:"])
texts: Final = st.tuples(
    st.sampled_from(["tea", "coffee"]),
    st.frozensets(anyone, max_size=3),  # whom it calls
    st.sampled_from([False, False, True]),  # whether all
)


def something_was_said(machine: "Talking") -> bool:
    return bool(machine.model.said)


class Talking(ModelledChannel):
    """Four people, seven devices, one channel."""

    # --- coming and going --------------------------------------------------------------------

    @rule(who=anyone)
    def join(self, who: int) -> None:
        me, model = self.id(who), self.model
        new = model.unless_archived(201) if model.public else 404
        answer = self.ask(who, "POST", f"{self.path}/join", 200 if me in model.roles else new)
        if answer.status_code == 201:
            model.enter(me, "member", seq_of(answer), agreed=True)
        elif answer.status_code == 200:
            model.agreed.add(me)

    @rule(who=people)
    def leave(self, who: int) -> None:
        who = self.who(who)
        me, model = self.id(who), self.model
        if list(model.roles) == [me] and me not in model.agreed:
            return  # the channel would end
        stays = model.is_last_owner(me) and me in model.agreed
        expected = model.to_members(me, 409 if stays else 204)
        answer = self.ask(who, "POST", f"{self.path}/leave", expected)
        if expected == 204:
            model.depart(me, seq_of(answer))

    @rule(who=people, other=anyone, role=roles)
    def add(self, who: int, other: int, role: Role) -> None:
        who = self.who(who)
        me, them, model = self.id(who), self.id(other), self.model
        new = 200 if them in model.roles else model.unless_archived(201)
        allowed = model.to_moderators if role == "member" else model.to_owners
        body = {"user_id": them, "role": role}
        answer = self.ask(who, "POST", f"{self.path}/members", allowed(me, new), body)
        if answer.status_code == 201:
            model.enter(them, role, seq_of(answer), agreed=False)
            model.agreed.add(me)
            model.removed.discard(them)

    @rule(who=people, other=anyone)
    def remove(self, who: int, other: int) -> None:
        who = self.who(who)
        me, them, model = self.id(who), self.id(other), self.model
        if who == other:
            return
        target = model.roles.get(them)
        expected = 404 if target is None else 204
        if target in ("owner", "admin") and model.roles.get(me) != "owner":
            expected = 403
        expected = model.to_moderators(me, expected)
        answer = self.ask(who, "DELETE", f"{self.path}/members/{them}", expected)
        if expected == 204:
            model.depart(them, seq_of(answer))
            model.removed.add(them)

    @rule(who=people, other=anyone, role=roles)
    def change_role(self, who: int, other: int, role: Role) -> None:
        who = self.who(who)
        me, them, model = self.id(who), self.id(other), self.model
        expected = 200 if them in model.roles else 404
        if model.is_last_owner(them) and role != "owner":
            expected = 409
        expected = model.to_owners(me, expected)
        self.ask(who, "PATCH", f"{self.path}/members/{them}", expected, {"role": role})
        if expected == 200:
            if role == "member" != model.roles[them]:
                model.lose_right_to_invite(them)
            model.roles[them] = role
            model.update_owner()

    @rule(who=people, other=anyone)
    def pass_on(self, who: int, other: int) -> None:
        who = self.who(who)
        me, them, model = self.id(who), self.id(other), self.model
        expected = model.to_owners(me, 200 if them in model.roles else 404)
        self.ask(who, "POST", f"{self.path}/owner", expected, {"user_id": them})
        if expected == 200 and who != other:
            model.roles[them], model.roles[me], model.owner = "owner", "admin", them

    @rule(who=people)
    def invite(self, who: int) -> None:
        who = self.who(who)
        expected = self.model.to_moderators(self.id(who), self.model.unless_archived(201))
        answer = self.ask(who, "POST", f"{self.path}/invites", expected, {})
        if expected == 201:
            self.code = answer.json()["code"]
            self.model.inviter, self.model.removed = self.id(who), set()

    @precondition(lambda self: self.code is not None)
    @rule(who=anyone)
    def accept(self, who: int) -> None:
        me, model = self.id(who), self.model
        expected = model.to_guest(me)
        answer = self.ask(who, "POST", f"/v1/invites/{self.code}/accept", expected)
        if expected == 201:
            model.enter(me, "member", seq_of(answer), agreed=True)
        elif expected == 200:
            model.agreed.add(me)

    @rule(who=people, archived=st.sampled_from([False, False, True]))
    def archive(self, who: int, archived: bool) -> None:
        who = self.who(who)
        expected = self.model.to_moderators(self.id(who), 200)
        self.ask(who, "PATCH", self.path, expected, {"archived": archived})
        if expected == 200:
            self.model.archived = archived

    # --- messages ----------------------------------------------------------------------------

    @rule(said=st.lists(st.tuples(people, texts, st.booleans()), min_size=1, max_size=4))
    def talk(self, said: list[tuple[int, Text, bool]]) -> None:
        for who, text, with_key in said:
            self.say(self.who(who), text, with_key=with_key)

    @precondition(something_was_said)
    @rule(who=people, text=texts, pick=picks)
    def reply(self, who: int, text: Text, pick: int) -> None:
        self.say(self.who(who), text, reply_to=self.one_said(pick).id)

    def say(
        self, who: int, text: Text, *, with_key: bool = False, reply_to: str | None = None
    ) -> None:
        me, model = self.id(who), self.model
        self.keys += 1
        key = f"{self.stream} {self.keys}" if with_key else None
        words, called = self.written(text)
        body: Json = {"text": words, "client_message_id": key, "reply_to": reply_to}
        expected = model.to_members(me, model.unless_archived(201))
        answer = self.ask(who, "POST", f"{self.path}/messages", expected, body)
        if expected != 201:
            return
        made = answer.json()
        assert (made["seq"], made["number"]) == (seq_of(answer), len(model.said) + 1)
        said = Said(
            made["id"], me, made["seq"], made["number"], words, key, called, text[2], reply_to
        )
        said.shown = called
        model.said.append(said)
        model.marks[me] = (said.seq, said.number)
        model.agreed.add(me)

    @precondition(something_was_said)
    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        """Whoever posted it does so again, in other words; it is the first message, as it is."""
        said = self.one_said(pick)
        if said.key is None:
            return
        expected = self.model.to_members(said.author, 200)
        body = {"text": "again", "client_message_id": said.key}
        answer = self.ask(self.place(said.author), "POST", f"{self.path}/messages", expected, body)
        if expected == 200:
            first = answer.json()
            assert (first["id"], first["text"], first["seq"]) == (said.id, said.text, said.seq)

    @precondition(something_was_said)
    @rule(who=people, pick=picks, text=texts)
    def edit(self, who: int, pick: int, text: Text) -> None:
        who = self.who(who)
        me, model, said = self.id(who), self.model, self.one_said(pick)
        words, called = self.written(text)
        expected = 410 if said.deleted else model.unless_archived(200)
        may = me == said.author or model.roles.get(me) == "owner"
        expected = expected if may else 403
        expected = expected if me in model.roles else 404
        self.ask(who, "PATCH", f"/v1/messages/{said.id}", expected, {"text": words})
        if expected == 200 and said.text != words:
            said.text, said.shown = words, called
            model.agreed.add(me)

    @precondition(something_was_said)
    @rule(who=people, pick=picks)
    def delete(self, who: int, pick: int) -> None:
        who = self.who(who)
        me, model, said = self.id(who), self.model, self.one_said(pick)
        expected = 204 if me == said.author or model.moderates(me) else 403
        expected = expected if me in model.roles else 404
        self.ask(who, "DELETE", f"/v1/messages/{said.id}", expected)
        if expected == 204:
            said.delete()

    @precondition(something_was_said)
    @rule(who=people, pick=picks, emoji=emoji, method=st.sampled_from(["PUT", "PUT", "DELETE"]))
    def react(self, who: int, pick: int, emoji: str, method: str) -> None:
        who = self.who(who)
        me, model, said = self.id(who), self.model, self.one_said(pick)
        expected = 410 if said.deleted else model.unless_archived(204)
        expected = expected if me in model.roles else 404
        self.ask(who, method, f"/v1/messages/{said.id}/reactions/{emoji}", expected)
        if expected == 204:
            users = said.reactions.setdefault(emoji, set())
            if method == "PUT" and me not in users:
                model.agreed.add(me)
            users.add(me) if method == "PUT" else users.discard(me)

    @precondition(something_was_said)
    @rule(who=people, pick=picks, method=st.sampled_from(["PUT", "PUT", "DELETE"]))
    def pin(self, who: int, pick: int, method: str) -> None:
        who = self.who(who)
        model, said = self.model, self.one_said(pick)
        expected = model.unless_archived(410 if said.deleted else 204)
        expected = model.to_moderators(self.id(who), expected)
        self.ask(who, method, f"{self.path}/pins/{said.id}", expected)
        if expected == 204:
            if method == "PUT" and not said.pinned:
                model.agreed.add(self.id(who))
            said.pinned = method == "PUT"

    # --- devices -----------------------------------------------------------------------------

    @rule(pick=devices, back=st.sampled_from([0, 0, 0, 1, 2, 5]))
    def mark_read(self, pick: int, back: int) -> None:
        """Mark what this device knows of as read, or, as one that lags behind, less."""
        device = self.hub.devices[pick]
        who = self.place(device.owner.id)
        known = device.replica.channels.get(self.stream.partition(":")[2])
        seq = max(known.seq - back, 0) if known else 1
        me, model = device.owner.id, self.model
        expected = model.to_members(me, 200)
        answer = self.ask(who, "PUT", f"{self.path}/read", expected, {"seq": seq})
        if expected == 200:
            model.mark(me, seq)
            read = answer.json()
            assert (read["last_read_seq"], read["last_read_number"]) == model.marks[me]
            assert read["unread_count"] == model.unread(me)
            assert read["mention_count"] == model.mentions(me)

    @rule(pick=devices, order=st.lists(picks, min_size=1, max_size=12), again=st.integers(0, 3))
    def hear(self, pick: int, order: list[int], again: int) -> None:
        """Some of what waits arrives, of whichever stream, and some of it twice."""
        for each in order:
            self.hub.devices[pick].deliver(each)
        self.hub.devices[pick].repeat(again)

    @rule(pick=devices)
    def lose_everything_and_resume(self, pick: int) -> None:
        self.do(self.hub.resume(self.hub.devices[pick]))

    @rule(pick=devices)
    def load_anew(self, pick: int) -> None:
        self.do(self.hub.reload(self.hub.devices[pick]))

    @rule(pick=devices, order=st.lists(picks, max_size=12))
    def hear_everything(self, pick: int, order: list[int]) -> None:
        device = self.hub.devices[pick]
        for each in order:
            device.deliver(each)
        fresh = self.do(Replica.load(device.owner))
        self.is_as_the_model_says(device.owner, fresh)
        self.has_what_a_fresh_load_gives(device, fresh)
