//! The prices of one model, with every gap filled, and the most that a call can cost.
//! Must never guess below what is written: where a price is missing, the next dearer one of the same list stands in.

use crate::units::{Hours, Line, NanoUsd, PicoSum, PicoUsd, PriceUnit, Speed, Tier, Tokens};

/// Prices as written: `None` where nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList([Option<PicoUsd>; Line::ALL.len()]);

impl PriceList {
    /// Writes a price.
    pub fn set(&mut self, line: Line, price: PicoUsd) {
        if let Some(slot) = self.0.get_mut(line as usize) {
            *slot = Some(price);
        }
    }

    /// The price as written.
    pub fn get(&self, line: Line) -> Option<PicoUsd> {
        self.0.get(line as usize).copied().flatten()
    }

    /// All prices. What is not written costs what it is a kind of; input, output and fees are the `base`'s.
    fn table(&self, base: Option<&Table>) -> Table {
        let mut table = Table::default();
        let of_base = |line| base.map_or(PicoUsd(0), |base| base.get(line));
        // A kind comes behind what it is a kind of.
        for line in Line::ALL {
            let kind_of = match line {
                Line::Input | Line::Output | Line::WebSearch | Line::WebFetch | Line::Request => {
                    None
                }
                Line::CachedInput | Line::CacheWrite | Line::AudioInput | Line::ImageInput => {
                    Some(Line::Input)
                }
                Line::CacheWriteLong => Some(Line::CacheWrite),
                Line::CachedAudio => Some(self.cached(Line::AudioInput)),
                Line::CachedImage => Some(self.cached(Line::ImageInput)),
                Line::Reasoning | Line::AudioOutput | Line::ImageOutput => Some(Line::Output),
            };
            let instead = kind_of.map_or_else(|| of_base(line), |kind| table.get(kind));
            table.set(line, self.get(line).unwrap_or(instead));
        }
        table
    }

    /// What stands in for the cached price of a medium: that of the medium if it has one, else that of text.
    fn cached(&self, medium: Line) -> Line {
        if self.get(medium).is_some() {
            medium
        } else {
            Line::CachedInput
        }
    }
}

/// Prices of every line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table([PicoUsd; Line::ALL.len()]);

impl Table {
    pub(super) fn get(&self, line: Line) -> PicoUsd {
        self.0.get(line as usize).copied().unwrap_or_default()
    }

    fn set(&mut self, line: Line, price: PicoUsd) {
        if let Some(slot) = self.0.get_mut(line as usize) {
            *slot = price;
        }
    }

    /// The dearer of two, line by line.
    fn rise(&mut self, other: &Self) {
        for line in Line::ALL {
            self.set(line, self.get(line).max(other.get(line)));
        }
    }

    fn dearest(&self, which: fn(Line) -> bool) -> PicoUsd {
        let lines = Line::ALL.into_iter().filter(|&line| which(line));
        lines.map(|line| self.get(line)).max().unwrap_or_default()
    }
}

/// A multiplier of token prices, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(pub u64);

impl Factor {
    /// Changes nothing.
    pub const ONE: Self = Self(1_000_000);

    /// Both, one after the other, rounded up.
    pub(super) fn and(self, other: Self) -> Self {
        let product = u128::from(self.0) * u128::from(other.0);
        let whole = product.div_ceil(u128::from(Self::ONE.0));
        Self(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    /// A price, multiplied; in whole pico-dollars, rounded up. Prices of six decimals are exact under factors of
    /// which the decimals do not go beyond the price's zeros, and so is every published one.
    pub(super) fn of(self, price: PicoUsd) -> PicoUsd {
        if self == Self::ONE {
            return price;
        }
        let product = u128::from(price.0) * u128::from(self.0);
        let whole = product.div_ceil(u128::from(Self::ONE.0));
        PicoUsd(u64::try_from(whole).unwrap_or(u64::MAX))
    }
}

/// The multipliers of a model's token prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Where the answer says that the model ran in the United States (`inference_geo`).
    pub us: Factor,
    /// Where the answer says that it was fast (`speed`).
    pub fast: Factor,
    /// At a regional address of the provider.
    pub regional: Factor,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            us: Factor::ONE,
            fast: Factor::ONE,
            regional: Factor::ONE,
        }
    }
}

/// A model's prices as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The list prices.
    pub standard: PriceList,
    /// Those of the other tiers.
    pub tiers: Vec<(Tier, PriceList)>,
    /// Those of long contexts.
    pub long: Option<LongDraft>,
    /// Those of the hours in which few call, in place of the list prices.
    pub off_peak: Option<(Hours, PriceList)>,
    /// What multiplies them.
    pub times: Times,
}

/// What changes when the whole input becomes long: all tokens of the call have these prices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LongDraft {
    /// The largest input that is not long.
    pub up_to: Tokens,
    /// The list prices.
    pub standard: PriceList,
    /// Those of the other tiers.
    pub tiers: Vec<(Tier, PriceList)>,
}

/// Some of the tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierSet(u8);

impl TierSet {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// The list prices alone.
    pub const STANDARD: Self = Self::NONE.with(Tier::Standard);
    /// All of them.
    pub const ALL: Self = Self((1 << Tier::ALL.len()) - 1);

    /// These and that one.
    #[must_use]
    pub const fn with(self, tier: Tier) -> Self {
        Self(self.0 | 1 << tier as u8)
    }

    /// Whether that one is among them.
    pub const fn has(self, tier: Tier) -> bool {
        self.0 & 1 << tier as u8 != 0
    }
}

/// What a request leaves open of the terms it may be served on: the basis of what is held for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The tiers it may be served at.
    pub tiers: TierSet,
    /// Whether the model may run in the United States for it.
    pub us: bool,
    /// Whether it may be fast.
    pub fast: bool,
    /// Whether it goes to a regional address.
    pub regional: bool,
    /// How often the provider may search the web for it.
    pub web_searches: u32,
    /// How many pages the provider may fetch for it.
    pub web_fetches: u32,
}

impl Default for Asked {
    /// A plain request: list prices, no searches.
    fn default() -> Self {
        Self {
            tiers: TierSet::STANDARD,
            us: false,
            fast: false,
            regional: false,
            web_searches: 0,
            web_fetches: 0,
        }
    }
}

impl Asked {
    /// What the words of a request leave open: a tier nobody knows may be any; where none is named, or `auto`, the list
    /// prices hold, which is what accounts are set to unless somebody changed it. A place that is not named may be
    /// any, and a speed that is not named is the usual one.
    pub fn of(tier: Option<&str>, speed: Option<&str>, geo: Option<&str>) -> Self {
        let tiers = match tier.map(Tier::said) {
            None => TierSet::STANDARD,
            Some(None) => TierSet::ALL,
            // Where the tier asked for has no room, the call is served at the list prices.
            Some(Some(tier)) => TierSet::STANDARD.with(tier),
        };
        Self {
            tiers,
            us: geo.is_none_or(|geo| geo == "us"),
            fast: speed.map(Speed::said) == Some(Speed::Fast),
            ..Self::default()
        }
    }
}

/// The prices of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// By tier, for short contexts and for long ones.
    tables: [[Table; 2]; Tier::ALL.len()],
    /// The dearest of the tiers.
    dearest: [Table; 2],
    priced: TierSet,
    up_to: Option<Tokens>,
    off_peak: Option<(Hours, Table)>,
    times: Times,
    /// Lines whose price is nobody's word for this model.
    assumed: u16,
}

impl Rates {
    /// Fills the gaps.
    pub fn of(draft: &Draft) -> Self {
        let standard = draft.standard.table(None);
        let long = draft.long.as_ref();
        let standard_long = long.map(|long| long.standard.table(Some(&standard)));
        let both = [
            standard.clone(),
            standard_long.clone().unwrap_or_else(|| standard.clone()),
        ];
        let mut rates = Self {
            tables: std::array::from_fn(|_| both.clone()),
            dearest: both.clone(),
            priced: TierSet::STANDARD,
            up_to: long.map(|long| long.up_to),
            off_peak: None,
            times: draft.times,
            assumed: 0,
        };
        for (tier, list) in &draft.tiers {
            let short = list.table(Some(&standard));
            let written = long.and_then(|long| long.tiers.iter().find(|(named, _)| named == tier));
            let long = match (written, &standard_long) {
                (Some((_, list)), _) => list.table(Some(&short)),
                // Not sold for long contexts: whichever is dearer.
                (None, Some(standard)) => {
                    let mut both = short.clone();
                    both.rise(standard);
                    both
                }
                (None, None) => short.clone(),
            };
            rates.dearest[0].rise(&short);
            rates.dearest[1].rise(&long);
            rates.tables[*tier as usize] = [short, long];
            rates.priced = rates.priced.with(*tier);
        }
        for tier in [Tier::Priority, Tier::Ultrafast] {
            if !rates.priced.has(tier) {
                rates.tables[tier as usize].clone_from(&rates.dearest);
            }
        }
        rates.off_peak = (draft.off_peak.as_ref())
            .map(|(hours, list)| (hours.clone(), list.table(Some(&standard))));
        for line in [Line::WebSearch, Line::WebFetch] {
            if draft.standard.get(line).is_none() {
                rates.assumed |= 1 << line as u16;
            }
        }
        rates
    }

    /// The most that a call can cost which is served as asked, has so much input and makes at most so much output:
    /// no other usage within that is dearer. Rounded up.
    pub fn most(&self, input: Tokens, output: Tokens, asked: &Asked) -> NanoUsd {
        let times = [
            (asked.us, self.times.us),
            (asked.fast, self.times.fast),
            (asked.regional, self.times.regional),
        ];
        let factor = times
            .into_iter()
            .filter(|&(may, factor)| may && factor > Factor::ONE)
            .fold(Factor::ONE, |all, (_, factor)| all.and(factor));
        let is_long = usize::from(self.is_long(input));
        let tiers = Tier::ALL.into_iter().filter(|&tier| asked.tiers.has(tier));
        let off_peak = self.off_peak.as_ref().map(|(_, table)| table);
        let tables = tiers
            .filter_map(|tier| self.tables.get(tier as usize))
            .flat_map(|both| both.iter().take(is_long + 1))
            .chain(off_peak);
        let most = tables.map(|table| {
            let price = |which| factor.of(table.dearest(which));
            let fee = |line, count| table.get(line).times(u64::from(count));
            price(Line::is_input).times(input)
                + price(Line::is_output).times(output)
                + fee(Line::WebSearch, asked.web_searches)
                + fee(Line::WebFetch, asked.web_fetches)
                + fee(Line::Request, 1)
        });
        most.max().map_or(NanoUsd::ZERO, PicoSum::round_up)
    }

    /// Whether an input of that size has the prices of long contexts.
    pub(super) fn is_long(&self, input: Tokens) -> bool {
        self.up_to.is_some_and(|up_to| input > up_to)
    }

    /// The prices that hold for a tier, and whether they are its own; `None` is a tier nobody knows.
    pub(super) fn at(&self, tier: Option<Tier>, input: Tokens) -> (&Table, bool) {
        let long = usize::from(self.is_long(input));
        let both = tier.and_then(|tier| self.tables.get(tier as usize));
        let tables = both.unwrap_or(&self.dearest);
        let own = tier.is_some_and(|tier| {
            // What is missing of the cheap tiers costs more than it does there.
            self.priced.has(tier) || matches!(tier, Tier::Batch | Tier::Flex)
        });
        (&tables[long], own)
    }

    pub(super) fn off_peak(&self) -> Option<&(Hours, Table)> {
        self.off_peak.as_ref()
    }

    pub(super) const fn times(&self) -> &Times {
        &self.times
    }

    /// Whether the price of a line is taken from elsewhere, or from nowhere.
    pub(super) const fn is_assumed(&self, line: Line) -> bool {
        self.assumed & 1 << line as u16 != 0
    }

    /// Raises this to whatever is dearer in the other, in everything.
    pub(super) fn rise(&mut self, other: &Self) {
        let tables = self.tables.iter_mut().chain([&mut self.dearest]);
        let others = other.tables.iter().chain([&other.dearest]);
        for ([short, long], [other_short, other_long]) in tables.zip(others) {
            short.rise(other_short);
            long.rise(other_short);
            long.rise(other_long);
        }
        // Whichever prices hold for long contexts hold from the smallest of them on.
        self.up_to = match (self.up_to, other.up_to) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        // What one of them has written is somebody's word.
        self.assumed &= other.assumed;
        let quiet = [self.off_peak.take(), other.off_peak.clone()];
        for (_, table) in quiet.iter().flatten() {
            self.tables[0][0].rise(table);
            self.dearest[0].rise(table);
        }
        self.times = Times {
            us: self.times.us.max(other.times.us),
            fast: self.times.fast.max(other.times.fast),
            regional: self.times.regional.max(other.times.regional),
        };
    }

    /// Takes over the fees that nobody wrote, as far as there are any.
    pub(super) fn assume(&mut self, from: &Self) {
        for line in [Line::WebSearch, Line::WebFetch] {
            let fee = from.dearest[1].get(line);
            if !self.is_assumed(line) || fee == PicoUsd(0) {
                continue;
            }
            let tables = self.tables.iter_mut().flatten();
            for table in tables.chain(&mut self.dearest) {
                table.set(line, fee);
            }
            if let Some((_, table)) = &mut self.off_peak {
                table.set(line, fee);
            }
        }
    }
}

impl Line {
    /// Whether its price is multiplied by factors: those of tokens are, fees are not.
    pub(super) const fn is_of_tokens(self) -> bool {
        matches!(self.unit(), PriceUnit::Million)
    }
}
