"""The part of the API for messages to people, and for the budget."""

from __future__ import annotations

from cosmos_pipelines.api.arguments import Record
from cosmos_pipelines.api.project import Project


class Messages(Project):
    """Say what people are told of, and try it."""

    def message_state(self) -> Record:
        """Return who is told of what, as `[notify]` says; no address is shown.

        `addresses`: number and kind of each; `events`; `every_min`; `waiting`: what is to be told
        next; `last_told`: when something was told last.

        Raises:
            InputError, SettingsError: the addresses cannot be read.
        """
        from cosmos_pipelines.notify.tell import notify_state

        return notify_state(self.catalog, self.settings)

    def send_test_message(self) -> list[Record]:
        """Send a message that says it is a test to every address of `[notify]`.

        Returns: for each `address` (its number and kind) whether it was `sent`, or the `problem`.

        Raises:
            InputError, SettingsError: there is no address, one cannot be used, or the library for
                messages is not installed.
        """
        from cosmos_pipelines.notify.tell import send_test

        return [one.as_dict() for one in send_test(self.settings)]

    def budget_today(self) -> Record:
        """Return what GPUs were used for since 00:00 UTC, and the limits of `[budget]`.

        `gpu_hours`, `money`, `unpriced_gpu_hours` (at places without a price, not in `money`),
        `currency`, and the limits (None: no limit): `gpu_hours_a_day`, `money_a_day`,
        `gpu_hours_a_batch`, `money_a_batch`. `not_counted`: a sentence, if a limit of money does
        not count some hosts, which have no price; else None.
        """
        from cosmos_pipelines.runs.budget import not_counted, used_today

        used = used_today(self.catalog, self.settings)
        limits = self.settings.budget.model_dump()
        return {
            **used.as_dict(),
            "currency": self.settings.queue.currency,
            "not_counted": not_counted(self.settings),
            **limits,
        }
