"""Reading every vendor's rate limits, and nothing where there is nothing to read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.admission import Allowance, RateHeaders
from providers.rate_headers import NAMES, read_rate_headers, seconds_until
from tests.recordings import FOLDER

DATE = "Thu, 17 Apr 2025 14:40:07 GMT"
ANSWERED_AT = datetime(2025, 4, 17, 14, 40, 7, tzinfo=UTC)


def read(headers: dict[str, str]) -> RateHeaders:
    told = read_rate_headers({"date": DATE, **headers})
    assert told is not None
    return told


def triple(pattern: str, limit: str, remaining: str, reset: str | None) -> dict[str, str]:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {pattern.format(part): value for part, value in values.items() if value is not None}


def test_openai_has_go_durations() -> None:
    told = read({
        **triple("x-ratelimit-{}-requests", "5000", "4999", "12ms"),
        **triple("x-ratelimit-{}-tokens", "800,000", "799,982", "1m0.198s"),
    })  # fmt: skip
    assert told.requests == Allowance(5_000, 4_999, 0.012)
    assert told.tokens == Allowance(800_000, 799_982, 60.198)


def test_the_tighter_of_account_and_project_counts() -> None:
    told = read({
        **triple("x-ratelimit-{}-tokens", "800000", "799982", "1s"),
        **triple("x-ratelimit-{}-project-tokens", "1000", "10", "6s"),
    })  # fmt: skip
    assert told.tokens == Allowance(1_000, 10, 6)


def test_anthropic_has_instants_read_against_the_answers_own_date() -> None:
    told = read({
        **triple("anthropic-ratelimit-requests-{}", "4000", "3999", "2025-04-17T14:40:07Z"),
        **triple("anthropic-ratelimit-tokens-{}", "120000", "116000", "2025-04-17T14:40:25Z"),
        **triple("anthropic-ratelimit-input-tokens-{}", "100000", "99000", "2025-04-17T14:40:00Z"),
        **triple("anthropic-ratelimit-output-tokens-{}", "20000", "16000", "2025-04-17T14:41:37Z"),
    })  # fmt: skip
    assert told.requests == Allowance(4_000, 3_999, 0.0)
    assert told.tokens == Allowance(120_000, 116_000, 18.0)
    assert told.input_tokens == Allowance(100_000, 99_000, 0.0), "what has passed is now"
    assert told.output_tokens == Allowance(20_000, 16_000, 90.0)


def test_a22_the_clock_of_this_machine_does_not_matter() -> None:
    """Without the answer's own date an instant is not read at all."""
    headers = triple("anthropic-ratelimit-tokens-{}", "120000", "116000", "2025-04-17T14:40:25Z")
    told = read_rate_headers(headers)
    assert told == RateHeaders(tokens=Allowance(120_000, 116_000, None))
    assert read_rate_headers({**headers, "date": "yesterday"}) == told


def test_1970_stands_for_not_said() -> None:
    told = read(triple("anthropic-ratelimit-tokens-{}", "120000", "1", "1970-01-01T00:00:00Z"))
    assert told.tokens == Allowance(120_000, 1, None)


def test_azure_has_plain_seconds() -> None:
    told = read({
        **triple("x-ratelimit-{}-requests", "250", "249", "60"),
        **triple("x-ratelimit-{}-tokens", "250000", "249988", "0"),
        "x-ratelimit-renewalperiod-requests": "60",
        "x-ratelimit-abusepenalty-active": "False",
    })  # fmt: skip
    assert told.requests == Allowance(250, 249, 60)
    assert told.tokens == Allowance(250_000, 249_988, 0)


@pytest.mark.parametrize("nothing", ["-1", "0", "", "n/a", "nan", "inf", "1e999"])
def test_a20_a_limit_that_means_nothing_is_ignored_with_all_that_belongs_to_it(
    nothing: str,
) -> None:
    headers = triple("x-ratelimit-{}-tokens", nothing, "0", "0")
    assert read_rate_headers(headers) is None
    told = read({**headers, **triple("x-ratelimit-{}-requests", "10", "-1", "x")})
    assert told == RateHeaders(requests=Allowance(10, None, None))


def test_remaining_alone_is_worth_something() -> None:
    told = read({"x-ratelimit-remaining-requests": "3", "x-ratelimit-remaining-tokens": "0"})
    assert told == RateHeaders(requests=Allowance(None, 3), tokens=Allowance(None, 0))


@pytest.mark.parametrize(
    ("limit", "remaining", "reset"),
    [("14400", "14399", "6s"), ("10000", "9523", "1h8m41.28s"), ("200", "100", "12h0m0s")],
)
def test_a_days_requests_under_a_minutes_name_give_themselves_away(
    limit: str, remaining: str, reset: str
) -> None:
    """So slowly flows back only what is counted by the day."""
    told = read(triple("x-ratelimit-{}-requests", limit, remaining, reset))
    assert told.requests is None
    assert told.requests_day is not None
    assert told.requests_day.limit == float(limit)


def test_a_full_bucket_gives_no_period_away() -> None:
    told = read(triple("x-ratelimit-{}-requests", "5000", "5000", "0s"))
    assert told == RateHeaders(requests=Allowance(5_000, 5_000, 0.0))
    odd = read(triple("x-ratelimit-{}-requests", "5000", "6000", "12ms"))
    assert odd == RateHeaders(requests=Allowance(5_000, 6_000, 0.012))


def test_cerebras_has_decimal_seconds_and_names_its_periods() -> None:
    told = read({
        **triple("x-ratelimit-{}-requests-day", "14400", "14398", "18037.262588739395"),
        **triple("x-ratelimit-{}-tokens-minute", "60000", "59954", "37.26258873939514"),
    })  # fmt: skip
    assert told.requests is None
    assert told.requests_day == Allowance(14_400, 14_398, 18_037.262588739395)
    assert told.tokens == Allowance(60_000, 59_954, 37.26258873939514)


def test_mistral_and_xai_say_no_reset() -> None:
    mistral = read({
        **triple("x-ratelimit-{}-req-minute", "5", "4", None),
        **triple("x-ratelimit-{}-tokens-minute", "75000", "74932", None),
        "x-ratelimit-tokens-query-cost": "68",
    })  # fmt: skip
    assert mistral == RateHeaders(requests=Allowance(5, 4), tokens=Allowance(75_000, 74_932))
    xai = read(triple("x-ratelimit-{}-requests", "1800", "1799", None))
    assert xai == RateHeaders(requests=Allowance(1_800, 1_799))


def test_openrouter_has_unix_milliseconds_and_no_period() -> None:
    """Only that nothing is left is sure, and until when."""
    reset = str(int(ANSWERED_AT.timestamp() * 1000) + 42_500)
    assert read(triple("x-ratelimit-{}", "20", "0", reset)) == RateHeaders(exhausted_s=42.5)
    seconds = str(int(ANSWERED_AT.timestamp()) + 42)
    assert read(triple("x-ratelimit-{}", "20", "0", seconds)) == RateHeaders(exhausted_s=42.0)
    assert read_rate_headers({"date": DATE, **triple("x-ratelimit-{}", "20", "3", reset)}) is None


def test_together_has_a_limit_of_a_second_that_must_not_become_one_of_a_minute() -> None:
    headers = {**triple("x-ratelimit-{}", "1", "1", "2"), "x-ratelimit-limit-tokens": "1000"}
    assert read(headers) == RateHeaders(tokens=Allowance(1_000))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("6ms", 0.006),
        ("7.2ms", 0.0072),
        ("1.235s", 1.235),
        ("17.399999999s", 17.399999999),
        ("1m0.198s", 60.198),
        ("6m0s", 360.0),
        ("21m36.001s", 1_296.001),
        ("1h8m25.745s", 4_105.745),
        ("83h10m39.057s", 299_439.057),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("12ns", 1.2e-8),
        (" 60 ", 60.0),
        ("37.26258873939514", 37.26258873939514),
        ("2025-04-17T14:40:25.5+00:00", 18.5),
        ("2025-04-17T16:40:25+02:00", 18.0),
        ("2025-04-17T14:40:25", 18.0),
        ("-3s", None),
        ("-1", None),
        ("soon", None),
        ("1x", None),
        ("s", None),
        ("1s1h", None),
        ("9" * 200, None),
        ("", None),
        (None, None),
    ],
)
def test_resets_in_every_form(text: str | None, seconds: float | None) -> None:
    expected = None if seconds is None else pytest.approx(seconds, abs=1e-12)
    assert seconds_until(text, ANSWERED_AT) == expected


def test_an_answer_without_limits_says_nothing() -> None:
    assert read_rate_headers({}) is None
    assert read_rate_headers({"date": DATE, "server": "uvicorn", "retry-after": "3"}) is None


values = st.text(max_size=80) | st.sampled_from(["-1", "0", "7", "1e308", "6m0s", "٣", "1970"])
names = st.sampled_from([name for row in NAMES for name in row[1:]] + ["date", "x-ratelimit-reset"])


@settings(max_examples=500)
@given(st.dictionaries(names, values, max_size=20))
def test_whatever_a_server_sends_is_read_or_ignored(headers: dict[str, str]) -> None:
    """Never an error, never a number that could not be counted with."""
    told = read_rate_headers(headers)
    if told is None:
        return
    for allowance in (told.requests, told.tokens, told.input_tokens, told.requests_day):
        if allowance is not None:
            assert allowance.limit is None or allowance.limit > 0
            assert allowance.remaining is None or allowance.remaining >= 0
            assert allowance.reset_s is None or 0 <= allowance.reset_s < float("inf")


RECORDED = sorted(FOLDER.glob("*-*.json"))


@pytest.mark.skipif(not RECORDED, reason=f"no recordings in {FOLDER}")
def test_every_recorded_answer_is_understood() -> None:
    """What names a limit in a way we know is read; its numbers are the header fields' own."""
    understood = 0
    for path in RECORDED:
        response = json.loads(path.read_text())["response"]
        headers = {name.lower(): value for name, value in response.get("headers", {}).items()}
        told = read_rate_headers(headers)
        named = [row for row in NAMES if float(headers.get(row.limit, "0").replace(",", "")) > 0]
        if not named:
            continue
        understood += 1
        assert told is not None
        for row in named:
            found = getattr(told, row.told_as) or told.requests_day
            assert found is not None
            assert found.limit == float(headers[row.limit])
            assert found.reset_s is None or found.reset_s < 86_400
    assert understood > 50
