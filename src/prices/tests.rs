//! Costs worked out by hand, and what holds for every usage under every terms.

use proptest::prelude::*;

use super::*;
use crate::units::{
    Hours, Line, NanoUsd, Pass, PicoSum, PicoUsd, Speed, Tier, Usage, UsageDetail, Wall,
};

fn list(prices: &[(Line, u64)]) -> PriceList {
    let mut list = PriceList::default();
    for &(line, price) in prices {
        list.set(line, PicoUsd(price));
    }
    list
}

/// A model at $2 and $10, with everything that can be had.
fn draft() -> Draft {
    Draft {
        standard: list(&[
            (Line::Input, 2_000_000),
            (Line::CachedInput, 200_000),
            (Line::CacheWrite, 2_500_000),
            (Line::CacheWriteLong, 5_000_000),
            (Line::AudioInput, 6_000_000),
            (Line::Output, 10_000_000),
            (Line::AudioOutput, 40_000_000),
            (Line::WebSearch, 10_000_000_000),
            (Line::WebFetch, 0),
        ]),
        tiers: vec![
            (
                Tier::Flex,
                list(&[(Line::Input, 1_000_000), (Line::Output, 5_000_000)]),
            ),
            (
                Tier::Priority,
                list(&[(Line::Input, 4_000_000), (Line::Output, 20_000_000)]),
            ),
        ],
        long: Some(LongDraft {
            up_to: 1000,
            standard: list(&[(Line::Input, 4_000_000), (Line::Output, 15_000_000)]),
            tiers: vec![(
                Tier::Flex,
                list(&[(Line::Input, 2_000_000), (Line::Output, 7_500_000)]),
            )],
        }),
        off_peak: None,
        times: Times {
            us: Factor(1_100_000),
            fast: Factor(2_000_000),
            regional: Factor(1_100_000),
        },
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        ..Usage::default()
    }
}

fn lines(cost: &Cost) -> Vec<(Line, u128)> {
    cost.lines().map(|(line, sum)| (line, sum.0)).collect()
}

#[test]
fn every_token_stands_in_one_line() {
    let rates = Rates::of(&draft());
    let usage = Usage {
        input: 900,
        cache_read: 300,
        cache_write: 200,
        output: 100,
        reasoning: 40,
        detail: UsageDetail {
            cache_write_long: 50,
            audio_input: 100,
            audio_output: 10,
            web_searches: 2,
            web_fetches: 3,
            ..UsageDetail::default()
        },
    };
    let cost = rates.cost(&usage, &Terms::default());
    assert_eq!(
        lines(&cost),
        [
            (Line::Input, 300 * 2_000_000),
            (Line::CachedInput, 300 * 200_000),
            (Line::CacheWrite, 150 * 2_500_000),
            (Line::CacheWriteLong, 50 * 5_000_000),
            (Line::AudioInput, 100 * 6_000_000),
            (Line::Output, 50 * 10_000_000),
            (Line::Reasoning, 40 * 10_000_000),
            (Line::AudioOutput, 10 * 40_000_000),
            (Line::WebSearch, 2 * 10_000_000_000),
        ]
    );
    assert_eq!(cost.total, NanoUsd(23_185_000));
    assert!(!cost.unpriced && !cost.inconsistent);
}

#[test]
fn a_long_context_begins_behind_the_threshold_and_holds_for_all_tokens() {
    let rates = Rates::of(&draft());
    let cost = |input| rates.cost(&usage(input, 10), &Terms::default()).total.0;
    assert_eq!(cost(999), 999 * 2_000 + 100_000);
    assert_eq!(cost(1000), 1000 * 2_000 + 100_000);
    assert_eq!(cost(1001), 1001 * 4_000 + 150_000);
    // What was read from the cache counts as well.
    let cached = Usage {
        cache_read: 1001,
        ..usage(1001, 0)
    };
    // A table without a price for it: cached input is input.
    assert_eq!(rates.cost(&cached, &Terms::default()).total.0, 1001 * 4_000);
}

#[test]
fn tiers_places_and_speeds_multiply_and_fees_do_not() {
    let rates = Rates::of(&draft());
    let searched = Usage {
        detail: UsageDetail {
            web_searches: 1,
            ..UsageDetail::default()
        },
        ..usage(100, 10)
    };
    let cost = |tier, us, speed, regional| {
        let terms = Terms {
            tier,
            us,
            speed,
            regional,
            ..Terms::default()
        };
        let cost = rates.cost(&searched, &terms);
        (cost.total.0 - 10_000_000, cost.unpriced)
    };
    let standard = Some(Tier::Standard);
    assert_eq!(
        cost(standard, false, Speed::Standard, false),
        (300_000, false)
    );
    assert_eq!(
        cost(standard, true, Speed::Standard, false),
        (330_000, false)
    );
    assert_eq!(cost(standard, true, Speed::Fast, true), (726_000, false));
    assert_eq!(
        cost(Some(Tier::Flex), false, Speed::Standard, false),
        (150_000, false)
    );
    assert_eq!(
        cost(Some(Tier::Priority), false, Speed::Standard, false),
        (600_000, false)
    );
    // A tier without prices costs the dearest there are, if it is a dear one; a cheap one costs the list's.
    assert_eq!(
        cost(Some(Tier::Ultrafast), false, Speed::Standard, false),
        (600_000, true)
    );
    assert_eq!(
        cost(Some(Tier::Batch), false, Speed::Standard, false),
        (300_000, false)
    );
    assert_eq!(cost(None, false, Speed::Standard, false), (600_000, true));
}

#[test]
fn a_dearer_tier_that_was_asked_for_counts_until_the_answer_tells_its_own() {
    let tier = |said, asked| {
        let terms = Terms::of(said, Speed::Standard, None);
        terms.or_asked(said, asked).tier
    };
    let standard = Some(Tier::Standard);
    assert_eq!(tier(None, Some("priority")), Some(Tier::Priority));
    assert_eq!(tier(Some("auto"), Some("fast")), Some(Tier::Priority));
    assert_eq!(tier(Some("auto"), Some("ultrafast")), Some(Tier::Ultrafast));
    assert_eq!(tier(Some("auto"), Some("turbo")), None);
    assert_eq!(tier(Some("default"), Some("priority")), standard);
    assert_eq!(tier(None, Some("flex")), standard);
    assert_eq!(tier(Some("flex"), Some("flex")), Some(Tier::Flex));
    assert_eq!(tier(None, None), standard);
}

#[test]
fn a_tier_that_is_not_sold_for_long_contexts_costs_the_dearer_of_both() {
    let rates = Rates::of(&draft());
    let terms = |tier| Terms {
        tier: Some(tier),
        ..Terms::default()
    };
    let cost = |tier| rates.cost(&usage(2000, 10), &terms(tier)).total.0;
    assert_eq!(cost(Tier::Flex), 2000 * 2_000 + 10 * 7_500);
    assert_eq!(cost(Tier::Priority), 2000 * 4_000 + 10 * 20_000);
}

#[test]
fn what_contradicts_itself_is_read_in_the_dearer_way() {
    let rates = Rates::of(&draft());
    let cost = |usage: &Usage| {
        let cost = rates.cost(usage, &Terms::default());
        (cost.total.0, cost.inconsistent)
    };
    // More read from the cache than there was input: the two are taken to stand beside each other.
    let beside = Usage {
        cache_read: 100,
        ..usage(10, 0)
    };
    assert_eq!(cost(&beside), (10 * 2_000 + 100 * 200, true));
    let reasoning = Usage {
        reasoning: 7,
        ..usage(0, 5)
    };
    assert_eq!(cost(&reasoning), (12 * 10_000, true));
    // Audio that was cached, and is not told apart, is audio.
    let overlap = Usage {
        cache_read: 50,
        detail: UsageDetail {
            audio_input: 80,
            ..UsageDetail::default()
        },
        ..usage(100, 0)
    };
    assert_eq!(cost(&overlap), (80 * 6_000 + 20 * 200, false));
}

#[test]
fn quiet_hours_hold_by_the_beginning_of_the_call() {
    let mut hours = Hours::default();
    assert!(hours.add("mon-fri 10:00-24:00").is_some());
    assert!(hours.add("sun 00:00-24:00").is_some());
    for wrong in [
        "",
        "mon",
        "fri-mon 00:00-01:00",
        "mon 02:00-01:00",
        "mon 1:00-2:00",
        "mon 00:00-24:01",
        "day 00:00-01:00",
    ] {
        assert!(hours.add(wrong).is_none(), "{wrong}");
    }
    let rates = Rates::of(&Draft {
        off_peak: Some((hours, list(&[(Line::Input, 1_000_000)]))),
        ..draft()
    });
    let cost = |at| {
        let terms = Terms {
            at: Wall(at),
            ..Terms::default()
        };
        rates.cost(&usage(1, 0), &terms).total.0
    };
    // 2026-11-24 was a Tuesday.
    let tuesday = 1_795_478_400_000;
    let hour = 3_600_000;
    assert_eq!(cost(tuesday), 2000);
    assert_eq!(cost(tuesday + 10 * hour - 1), 2000);
    assert_eq!(cost(tuesday + 10 * hour), 1000);
    assert_eq!(cost(tuesday + 24 * hour - 1), 1000);
    assert_eq!(cost(tuesday + 24 * hour), 2000);
    // Saturday is not in it, Sunday is.
    assert_eq!(cost(tuesday + 4 * 24 * hour), 2000);
    assert_eq!(cost(tuesday + 5 * 24 * hour), 1000);
    assert_eq!(cost(tuesday + 6 * 24 * hour), 2000);
}

fn book() -> Book {
    let mut builder = BookBuilder::default();
    let at = |input| Draft {
        standard: list(&[(Line::Input, input), (Line::Output, input)]),
        ..Draft::default()
    };
    builder.provider("none");
    builder.model("p", "m-1", &at(1));
    builder.model("p", "m-1-2026-01-01", &at(2));
    builder.model("p", "m-*", &at(3));
    builder.model("p", "m-1-pro*", &at(4));
    builder.model("p", "dear", &draft());
    builder.build(Unknown::Dearest)
}

#[test]
fn a_model_is_found_by_name_then_without_its_date_then_by_pattern() {
    let book = book();
    let provider = book.provider("p").expect("known");
    let found = |model| {
        let priced = book.find(provider, model);
        let cost = priced.cost(&usage(1000, 0), &Terms::default());
        (priced.basis, cost.total.0, cost.unpriced)
    };
    assert_eq!(found("m-1"), (Basis::Name, 1, false));
    assert_eq!(found("m-1-2026-01-01"), (Basis::Name, 2, false));
    for dated in [
        "m-1-2026-03-05",
        "m-1-20260305",
        "m-1@20260305",
        "m-1-latest",
    ] {
        assert_eq!(found(dated), (Basis::Alias, 1, false), "{dated}");
    }
    assert_eq!(found("m-1-pro-2026-03-05"), (Basis::Pattern, 4, false));
    assert_eq!(found("m-1-mini"), (Basis::Pattern, 3, false));
    // The dearest of everything the provider has, from the first token of its longest context on.
    assert_eq!(found("other"), (Basis::Unpriced, 2_000_000, true));
    assert_eq!(found("-2026-03-05").0, Basis::Unpriced);
    assert_eq!(found("").0, Basis::Unpriced);
    assert_eq!(book.len(), 5);
    // A provider without prices has the dearest of the book.
    let none = book.provider("none").expect("known");
    let cost = book
        .find(none, "m-1")
        .cost(&usage(1000, 0), &Terms::default());
    assert_eq!((cost.total.0, cost.unpriced), (2_000_000, true));
}

#[test]
fn a_fee_that_nobody_wrote_is_the_dearest_and_flagged() {
    let book = book();
    let provider = book.provider("p").expect("known");
    let searched = Usage {
        detail: UsageDetail {
            web_searches: 1,
            ..UsageDetail::default()
        },
        ..Usage::default()
    };
    let cost = |model| {
        book.find(provider, model)
            .cost(&searched, &Terms::default())
    };
    assert_eq!(
        (cost("dear").total.0, cost("dear").unpriced),
        (10_000_000, false)
    );
    assert_eq!(
        (cost("m-1").total.0, cost("m-1").unpriced),
        (10_000_000, true)
    );
    // Another provider's fee counts only where its own has none.
    let mut builder = BookBuilder::default();
    for at in 0..20 {
        builder.model("p", &format!("m{at}"), &Draft::default());
    }
    builder.model("p", "dear", &draft());
    let mut dearer = draft();
    dearer
        .standard
        .set(Line::WebSearch, PicoUsd(35_000_000_000));
    builder.model("q", "dearer", &dearer);
    builder.model("r", "none", &Draft::default());
    let book = builder.build(Unknown::Dearest);
    let fee = |provider, model| {
        let provider = book.provider(provider).expect("known");
        let priced = book.find(provider, model);
        priced.cost(&searched, &Terms::default()).total.0
    };
    assert_eq!(fee("p", "m0"), 10_000_000);
    assert_eq!(fee("p", "unknown"), 10_000_000);
    assert_eq!(fee("r", "none"), 35_000_000);
}

#[test]
fn each_pass_costs_what_its_own_model_costs() {
    let book = book();
    let provider = book.provider("p").expect("known");
    let pass = |model: Option<&str>, input| Pass {
        model: model.map(Into::into),
        usage: usage(input, 0),
    };
    let passes = [pass(None, 1000), pass(Some("dear"), 1000)];
    let bill = book.bill(provider, "m-1", &usage(2500, 0), &passes, &Terms::default());
    assert_eq!(bill.basis, Basis::Name);
    // Half a nano-dollar is left over, and goes to the even side.
    assert_eq!(bill.cost.total.0, 2_000_002);
    assert_eq!(
        bill.cost.line(Line::Input),
        PicoSum(1000 + 500 + 2_000_000_000)
    );
    assert!(!bill.cost.unpriced);
}

/// Usages whose parts fit into their wholes, made of those parts.
fn parts() -> impl Strategy<Value = [u64; 14]> {
    proptest::array::uniform14(prop_oneof![Just(0), 0..2000_u64, 0..(1_u64 << 40)])
}

fn of_parts(parts: &[u64; 14]) -> Usage {
    let [
        plain,
        read,
        short,
        long,
        audio,
        cached_audio,
        image,
        cached_image,
        text,
        reasoning,
        speech,
        drawn,
        searches,
        fetches,
    ] = *parts;
    Usage {
        input: plain + read + short + long + audio + cached_audio + image + cached_image,
        cache_read: read + cached_audio + cached_image,
        cache_write: short + long,
        output: text + reasoning + speech + drawn,
        reasoning,
        detail: UsageDetail {
            cache_write_long: long,
            audio_input: audio + cached_audio,
            cached_audio,
            image_input: image + cached_image,
            cached_image,
            audio_output: speech,
            image_output: drawn,
            web_searches: u32::try_from(searches % 1000).unwrap_or(0),
            web_fetches: u32::try_from(fetches % 1000).unwrap_or(0),
        },
    }
}

fn prices() -> impl Strategy<Value = PriceList> {
    proptest::collection::vec(proptest::option::of(0..100_000_000_u64), Line::ALL.len()).prop_map(
        |prices| {
            let mut list = PriceList::default();
            for (line, price) in Line::ALL.into_iter().zip(prices) {
                if let Some(price) = price {
                    list.set(line, PicoUsd(price));
                }
            }
            list
        },
    )
}

fn any_draft() -> impl Strategy<Value = Draft> {
    let tiers = || {
        let tiers = proptest::sample::subsequence(Tier::ALL[1..].to_vec(), 0..4);
        tiers.prop_flat_map(|tiers| {
            let lists = proptest::collection::vec(prices(), tiers.len());
            (Just(tiers), lists)
                .prop_map(|(tiers, lists)| tiers.into_iter().zip(lists).collect::<Vec<_>>())
        })
    };
    let long = proptest::option::of((0..10_000_u64, prices(), tiers()));
    let factor = || (0..5_000_000_u64).prop_map(Factor);
    (
        prices(),
        tiers(),
        long,
        proptest::option::of(prices()),
        [factor(), factor(), factor()],
    )
        .prop_map(
            |(standard, tiers, long, off_peak, [us, fast, regional])| Draft {
                standard,
                tiers,
                long: long.map(|(up_to, standard, tiers)| LongDraft {
                    up_to,
                    standard,
                    tiers,
                }),
                off_peak: off_peak.map(|list| {
                    let mut hours = Hours::default();
                    let _ = hours.add("mon-sun 06:00-18:00");
                    (hours, list)
                }),
                times: Times { us, fast, regional },
            },
        )
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let tier = proptest::sample::select(Tier::ALL.to_vec());
    (tier, any::<[bool; 3]>(), 0..10_000_000_000_000_u64).prop_map(
        |(tier, [us, fast, regional], at)| Terms {
            tier: Some(tier),
            us,
            speed: if fast { Speed::Fast } else { Speed::Standard },
            regional,
            at: Wall(at),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_lines_are_the_total_and_every_token_is_in_one(parts in parts(), draft in any_draft(), terms in any_terms()) {
        let usage = of_parts(&parts);
        let cost = Rates::of(&draft).cost(&usage, &terms);
        prop_assert!(!cost.inconsistent);
        let sum: PicoSum = cost.lines().map(|(_, sum)| sum).sum();
        prop_assert_eq!(sum.round(), cost.total);
        // At one price for all, nothing but the number of tokens counts.
        let flat = Rates::of(&Draft { standard: list(&[(Line::Input, 1_000_000), (Line::Output, 1_000_000), (Line::WebSearch, 0), (Line::WebFetch, 0)]), ..Draft::default() });
        prop_assert_eq!(flat.cost(&usage, &Terms::default()).total.0, usage.total() * 1000);
    }

    #[test]
    fn more_of_anything_never_costs_less(parts in parts(), at in 0..14_usize, more in 1..1000_u64, mut draft in any_draft(), terms in any_terms()) {
        // Long contexts may be cheaper in nobody's book; here they might.
        draft.long = None;
        let rates = Rates::of(&draft);
        let mut larger = parts;
        larger[at] += if at < 12 { more } else { 0 };
        prop_assert!(rates.cost(&of_parts(&larger), &terms).total >= rates.cost(&of_parts(&parts), &terms).total);
    }

    #[test]
    fn what_is_held_is_never_less_than_what_it_costs(parts in parts(), slack in 0..1000_u64, draft in any_draft(), terms in any_terms(), more in any::<[bool; 3]>()) {
        let rates = Rates::of(&draft);
        let usage = of_parts(&parts);
        let asked = Asked {
            tiers: TierSet::STANDARD.with(terms.tier.unwrap_or(Tier::Standard)),
            us: terms.us || more[0],
            fast: terms.speed == Speed::Fast || more[1],
            regional: terms.regional || more[2],
            web_searches: usage.detail.web_searches,
            web_fetches: usage.detail.web_fetches,
        };
        let held = rates.most(usage.input, usage.output + slack, &asked);
        prop_assert!(held >= rates.cost(&usage, &terms).total);
    }

    #[test]
    fn nothing_overflows(counts in any::<[u64; 12]>(), few in any::<[u32; 2]>(), draft in any_draft(), terms in any_terms()) {
        let [input, cache_read, cache_write, output, reasoning, long, audio, cached_audio, image, cached_image, speech, drawn] = counts;
        let usage = Usage {
            input, cache_read, cache_write, output, reasoning,
            detail: UsageDetail {
                cache_write_long: long, audio_input: audio, cached_audio, image_input: image, cached_image,
                audio_output: speech, image_output: drawn, web_searches: few[0], web_fetches: few[1],
            },
        };
        let rates = Rates::of(&draft);
        let cost = rates.cost(&usage, &terms);
        prop_assert_eq!(cost.plus(&cost).inconsistent, cost.inconsistent);
        let _ = rates.most(input, output, &Asked { tiers: TierSet::ALL, ..Asked::default() });
    }

    #[test]
    fn the_dearest_is_dearer_than_any(parts in parts(), drafts in proptest::collection::vec(any_draft(), 1..4), terms in any_terms()) {
        let mut builder = BookBuilder::default();
        for (at, draft) in drafts.iter().enumerate() {
            builder.model("p", &format!("m{at}"), draft);
        }
        let book = builder.build(Unknown::Dearest);
        let provider = book.provider("p").expect("known");
        let unknown = book.find(provider, "unknown");
        prop_assert!(unknown.cost(&of_parts(&parts), &terms).unpriced);
        for at in 0..drafts.len() {
            let asked = Asked { tiers: TierSet::ALL, us: true, fast: true, regional: true, ..Asked::default() };
            let known = book.find(provider, &format!("m{at}"));
            let usage = of_parts(&parts);
            prop_assert!(unknown.rates.most(usage.input, usage.output, &asked) >= known.rates.most(usage.input, usage.output, &asked));
        }
    }
}
