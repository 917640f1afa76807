//! The numbers that decide, in one place. `docs/history.md` explains them.

/// What the judge goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Nights that a fence and the noise look back.
    pub nights: usize,
    /// Nights that a fence needs.
    pub fence_least: usize,
    /// Nights of sentinels that the noise needs; below it there is no verdict.
    pub noise_least: usize,
    /// Least noise, as a share: no smaller change is believed.
    pub floor_least: f64,
    /// A change point is news in so many nights.
    pub recent: usize,
    /// Nights in which change points are searched.
    pub window: usize,
    /// Shuffles that a change point is compared with.
    pub permutations: u32,
    /// Shuffles for the change points that a page draws over all years.
    pub permutations_drawn: u32,
    /// Most probability of a change point by chance.
    pub p: f64,
    /// How often all fences of a night together may alarm on nights without a change.
    pub alarms: f64,
    /// Suspects that are put to the test in a night.
    pub nominated: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            nights: 30,
            fence_least: 8,
            noise_least: 10,
            floor_least: 0.02,
            recent: 10,
            window: 120,
            permutations: 9_999,
            permutations_drawn: 199,
            p: 0.01,
            alarms: 0.05,
            nominated: 3,
        }
    }
}
