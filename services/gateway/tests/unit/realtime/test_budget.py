"""How many commands a socket may send."""

from sharezync_gateway.realtime.budget import Budget, BudgetVerdict, UserBudgets


def spend(budget: Budget, count: int, now: float) -> list[BudgetVerdict]:
    return [budget.spend(now) for _ in range(count)]


def test_a_burst_goes_through_and_what_follows_waits() -> None:
    budget = Budget(10, 5, now=100)
    assert spend(budget, 5, 100) == [BudgetVerdict.GO] * 5
    assert budget.spend(100) is BudgetVerdict.WAIT
    assert 0.1 <= budget.wait_seconds < 0.12
    assert budget.spend(100.001 + budget.wait_seconds) is BudgetVerdict.GO


def test_time_restores_no_more_than_a_burst() -> None:
    budget = Budget(10, 5, now=0)
    assert spend(budget, 6, 3600) == [BudgetVerdict.GO] * 5 + [BudgetVerdict.WAIT]


def test_a_client_at_twice_the_rate_is_never_flooding() -> None:
    budget = Budget(10, 5, now=0)
    verdicts = [budget.spend(n / 20) for n in range(2000)]
    assert BudgetVerdict.FLOOD not in verdicts
    assert 850 < verdicts.count(BudgetVerdict.GO) < 1100


def test_a_client_far_beyond_the_rate_is_flooding() -> None:
    budget = Budget(10, 5, now=0)
    verdicts = [budget.spend(n / 1000) for n in range(200)]
    assert verdicts[-1] is BudgetVerdict.FLOOD


def test_a_hundred_times_the_rate_is_answered_a_bounded_number_of_times() -> None:
    budget = Budget(10, 5, now=0)
    verdicts = [budget.spend(n / 1000) for n in range(5000)]
    told = verdicts[: verdicts.index(BudgetVerdict.FLOOD)]
    assert len(told) < 5 + 5 * 5 + 5


def test_a_frame_that_makes_more_work_counts_as_several() -> None:
    budget = Budget(10, 5, now=0)
    assert budget.spend(0) is BudgetVerdict.GO
    budget.charge(6)
    assert budget.spend(0) is BudgetVerdict.WAIT
    assert 0.29 < budget.wait_seconds < 0.31
    assert budget.spend(0.31) is BudgetVerdict.GO
    assert not budget.is_full(0.6)
    assert budget.is_full(1)


def test_a_user_is_forgotten_only_when_all_is_paid_for() -> None:
    budgets = UserBudgets(10, 5)
    budget = budgets.for_user("ada", 0)
    budget.replayed.charge(40 * 2**20)
    assert budget.replayed.debt_seconds(0) == 2
    budgets.sweep(5, lambda _: False)
    assert budgets.for_user("ada", 5) is budget
    budgets.sweep(20, lambda _: False)
    assert budgets.for_user("ada", 20) is not budget
