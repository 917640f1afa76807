//! Everything that one cell is measured with, which an experiment changes.

use super::Matrix;
use super::cell::{Cell, Size};
use super::front::Front;
use super::profile::Load;
use super::target::Target;

/// Everything that one cell is measured with.
#[derive(Debug, Clone, PartialEq)]
pub struct CellSetup {
    /// The cell.
    pub cell: Cell,
    /// Its load.
    pub load: Load,
    /// Its target.
    pub target: Target,
    /// Its size; `None`: no limits.
    pub size: Option<Size>,
    /// Its front; `None`: the instances are reached directly.
    pub front: Option<Front>,
}

impl Matrix {
    /// What a cell is measured with.
    pub fn setup(&self, cell: &Cell) -> Option<CellSetup> {
        Some(CellSetup {
            cell: cell.clone(),
            load: self.load.clone(),
            target: self.targets.get(&cell.target)?.clone(),
            size: self.size(cell).cloned(),
            front: self.front(cell).cloned(),
        })
    }

    /// This matrix with another set-up of one of its cells, which is then its only one.
    #[must_use]
    pub fn with(&self, setup: CellSetup) -> Self {
        let mut matrix = self.clone();
        let CellSetup { cell, load, target, size, front } = setup;
        matrix.load = load;
        matrix.cells = vec![cell];
        matrix.targets.insert(target.name.clone(), target);
        matrix.sizes.extend(size.map(|size| (size.name.clone(), size)));
        matrix.fronts.extend(front.map(|front| (front.name.clone(), front)));
        matrix
    }
}
