//! The cheapest number of instances of each size that holds a goal.

use serde::Serialize;

use super::coefficients::{Coefficients, is_other_rate};
use super::limits::Limits;
use super::predict::{Prediction, predict};
use super::question::{Message, NoPlan, PlanSize, Question, sizes_of};
use super::restart::{Restart, restart};
use super::scaling::Scale;
use super::set_up::{SetUp, SetUpId};
use crate::findings::{Findings, InstancePrice};
use wsceiling_model::matrix::units::format_duration;

/// A capacity plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CapacityPlan {
    /// `<start> <name>` of the run.
    pub run: String,
    /// Connections to hold.
    pub goal: u64,
    /// Share that stays free.
    pub reserve: f64,
    /// Connections that must fit, with the reserve.
    pub needed: f64,
    /// The set-ups of the run.
    pub set_ups: Vec<SetUpPlan>,
    /// Set-ups that cannot be planned, and why.
    pub refused: Vec<(SetUpId, String)>,
}

/// What a set-up needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetUpPlan {
    /// Target, runtime, front, scenario.
    pub set_up: SetUpId,
    /// What its connections take.
    pub coefficients: Coefficients,
    /// What each connection sends: as asked.
    pub message: Message,
    /// What each connection sent in the run.
    pub run_message: Message,
    /// Sizes in the order given.
    pub sizes: Vec<SizePlan>,
    /// Places in [`Self::sizes`] of the cheapest plan of each currency; without any price, of the one with the fewest instances.
    pub cheapest: Vec<usize>,
    /// How instances and cores add up, where at least three numbers were measured.
    pub scales: Vec<Scale>,
    /// Smallest and largest number of instances that was measured.
    pub instances_measured: (u32, u32),
    /// Memory grew while the connections stayed as many, so that no number is safe for ever.
    pub grows: bool,
}

/// What is needed of a size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizePlan {
    /// Its name.
    pub size: String,
    /// Its CPUs; `None`: no limit.
    pub cpus: Option<f64>,
    /// Its memory in bytes; `None`: no limit.
    pub memory_bytes: Option<u64>,
    /// What an instance costs.
    pub price: Option<InstancePrice>,
    /// What one instance holds; `None`: nothing, or nothing is known to limit it.
    pub one: Option<Prediction>,
    /// The fewest instances that hold the goal; `None`: not even the most that were asked about.
    pub plan: Option<Plan>,
    /// Instances, and the connections that they hold with the reserve, up to the goal.
    pub ladder: Vec<(u32, f64)>,
}

/// Instances of a size that hold the goal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// What they hold.
    pub prediction: Prediction,
    /// They hold the goal with the reserve even at the low end of the interval.
    pub sure: bool,
    /// A restart of everyone: of the goal.
    pub restart: Option<Restart>,
    /// Price of all instances a month.
    pub per_month: Option<f64>,
}

/// The plan for a question.
///
/// # Errors
/// When the question asks for nothing, or the run does not tell what it asks for.
pub fn plan(findings: &Findings, question: &Question) -> Result<CapacityPlan, NoPlan> {
    Ok(plans(findings, question, &[question.goal])?.remove(0))
}

/// Plans for the next round numbers above what the cells of the run held, all else as in the run: what a report shows without
/// being asked.
///
/// # Errors
/// As for [`plan`].
pub fn overview(findings: &Findings) -> Result<Vec<CapacityPlan>, NoPlan> {
    let held = findings.cells.iter().filter_map(|cell| cell.ceiling.as_ref()).map(|ceiling| ceiling.connections);
    let goals = round_goals(held.max().unwrap_or(0));
    plans(findings, &Question::about(goals[0]), &goals)
}

/// The three next numbers of the series 1, 2, 5, 10, ... above a number, from 100 on.
pub fn round_goals(above: u64) -> [u64; 3] {
    let series = (2..18).flat_map(|decade| [1, 2, 5].map(|digit| digit * 10_u64.pow(decade)));
    let mut next = series.filter(|round| *round > above);
    std::array::from_fn(|_| next.next().unwrap_or(u64::MAX))
}

fn plans(findings: &Findings, question: &Question, goals: &[u64]) -> Result<Vec<CapacityPlan>, NoPlan> {
    if goals.contains(&0) {
        return Err(NoPlan::NoGoal);
    }
    if !(0.0..1.0).contains(&question.reserve) {
        return Err(NoPlan::Reserve);
    }
    let header = &findings.header;
    let sizes = if question.sizes.is_empty() { sizes_of(header) } else { question.sizes.clone() };
    if sizes.is_empty() {
        return Err(NoPlan::NoSizes);
    }
    let all = SetUp::all(findings, question.message, |_| true);
    let set_ups = chosen(all, question.only.as_deref())?;
    let mut refused = Vec::new();
    let mut told: Vec<SetUp<'_>> = Vec::new();
    let mut first = None;
    for set_up in set_ups {
        match refusal(&set_up) {
            Some(why) => {
                refused.push((set_up.id.clone(), why.to_string()));
                first.get_or_insert(why);
            }
            None => told.push(set_up),
        }
    }
    if told.is_empty() {
        return Err(first.unwrap_or(NoPlan::NoCoefficients));
    }
    let most = goals.iter().copied().max().unwrap_or(question.goal);
    let ladders: Vec<SetUpLadders<'_>> =
        told.iter().map(|set_up| SetUpLadders::of(set_up, &sizes, question, most)).collect();
    let one = |goal: &u64| {
        let question = Question { goal: *goal, ..question.clone() };
        CapacityPlan {
            run: format!("{} {}", header.started, header.run.name),
            goal: *goal,
            reserve: question.reserve,
            needed: question.needed(),
            set_ups: ladders.iter().map(|ladders| ladders.plan(&question)).collect(),
            refused: refused.clone(),
        }
    };
    Ok(goals.iter().map(one).collect())
}

fn chosen<'f>(all: Vec<SetUp<'f>>, only: Option<&str>) -> Result<Vec<SetUp<'f>>, NoPlan> {
    let Some(only) = only else { return Ok(all) };
    let names: Vec<String> = all.iter().map(|set_up| set_up.id.to_string()).collect();
    let chosen: Vec<SetUp<'f>> = all.into_iter().filter(|set_up| set_up.id.to_string().contains(only)).collect();
    if chosen.is_empty() { Err(NoPlan::no_such_set_up(only, &names)) } else { Ok(chosen) }
}

/// Why a set-up cannot be planned.
fn refusal(set_up: &SetUp<'_>) -> Option<NoPlan> {
    if !set_up.tells() {
        return Some(NoPlan::NoCoefficients);
    }
    let words = |message: Message| match message.per_second() {
        rate if rate > 0.0 => format!("messages every {} of {} B", format_duration(message.every), message.bytes),
        _ => "no messages".to_owned(),
    };
    let other = is_other_rate(set_up.asked, set_up.run.per_second());
    (other && set_up.coefficients.cpu.is_none())
        .then(|| NoPlan::MessagesNotTold { messages: words(set_up.asked), measured: words(set_up.run) })
}

/// What one, two, three, ... instances of each size hold, up to the largest goal.
struct SetUpLadders<'s> {
    set_up: &'s SetUp<'s>,
    scales: Vec<Scale>,
    sizes: Vec<(PlanSize, Option<f64>, Vec<Prediction>)>,
}

impl<'s> SetUpLadders<'s> {
    fn of(set_up: &'s SetUp<'s>, sizes: &[PlanSize], question: &Question, most: u64) -> Self {
        let limits = Limits::of(set_up);
        let enough = Question { goal: most, ..question.clone() }.needed();
        let ladder = |size: &PlanSize| {
            let mut rungs: Vec<Prediction> = Vec::new();
            for instances in 1..=question.instances_max {
                let Some(rung) = predict(&limits, &size.size, instances) else { break };
                let holds = rung.held >= enough;
                rungs.push(rung);
                if holds {
                    break;
                }
            }
            (size.clone(), limits.usable_cpus(&size.size), rungs)
        };
        let sizes = sizes.iter().map(ladder).collect();
        Self { set_up, scales: limits.scales.clone(), sizes }
    }

    fn plan(&self, question: &Question) -> SetUpPlan {
        let sizes: Vec<SizePlan> = self.sizes.iter().map(|size| self.size(size, question)).collect();
        let set_up = self.set_up;
        SetUpPlan {
            set_up: set_up.id.clone(),
            coefficients: set_up.coefficients.clone(),
            message: set_up.asked,
            run_message: set_up.run,
            cheapest: cheapest(&sizes),
            sizes,
            scales: self.scales.clone(),
            instances_measured: set_up.instances(),
            grows: set_up.cells.iter().any(|cell| cell.memory.as_ref().is_some_and(|memory| memory.growth.is_some())),
        }
    }

    fn size(&self, (size, cpus, rungs): &(PlanSize, Option<f64>, Vec<Prediction>), question: &Question) -> SizePlan {
        let needed = question.needed();
        let found = rungs.iter().find(|rung| rung.held >= needed);
        let upto = found.map_or(rungs.len(), |found| found.instances as usize);
        let plan = found.map(|prediction| Plan {
            sure: prediction.interval.0 >= needed,
            restart: restart(self.set_up, &size.size, *cpus, question.goal as f64, prediction.instances),
            per_month: size.price.as_ref().map(|price| price.per_month * f64::from(prediction.instances)),
            prediction: prediction.clone(),
        });
        SizePlan {
            size: size.size.name.clone(),
            cpus: size.size.cpus,
            memory_bytes: size.size.memory_bytes,
            price: size.price.clone(),
            one: rungs.first().cloned(),
            plan,
            ladder: rungs[..upto].iter().map(|rung| (rung.instances, rung.held * (1.0 - question.reserve))).collect(),
        }
    }
}

/// The cheapest plan of each currency; where nothing has a price, the one with the fewest instances.
fn cheapest(sizes: &[SizePlan]) -> Vec<usize> {
    let with_plan = || sizes.iter().enumerate().filter_map(|(at, size)| Some((at, size, size.plan.as_ref()?)));
    let mut currencies: Vec<Option<&str>> = Vec::new();
    for (_, size, _) in with_plan() {
        if let Some(price) = &size.price
            && !currencies.contains(&price.currency())
        {
            currencies.push(price.currency());
        }
    }
    if currencies.is_empty() {
        let fewest = with_plan().min_by_key(|(at, _, plan)| (plan.prediction.instances, *at));
        return fewest.map(|(at, ..)| at).into_iter().collect();
    }
    let of = |currency: Option<&str>| {
        let own =
            with_plan().filter(|(_, size, _)| size.price.as_ref().is_some_and(|price| price.currency() == currency));
        let price = |plan: &Plan| plan.per_month.unwrap_or(f64::INFINITY);
        own.min_by(|a, b| price(a.2).total_cmp(&price(b.2)).then(a.0.cmp(&b.0))).map(|(at, ..)| at)
    };
    currencies.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_round_and_above_what_was_held() {
        assert_eq!(round_goals(8_000), [10_000, 20_000, 50_000]);
        assert_eq!(round_goals(10_000), [20_000, 50_000, 100_000]);
        assert_eq!(round_goals(0), [100, 200, 500]);
        assert_eq!(round_goals(u64::MAX), [u64::MAX; 3]);
    }
}
