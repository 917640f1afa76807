//! A few connections beside the load that are kept for long: what ends them, and at which age, tells a lifetime from an idle
//! timeout.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Load;

/// Connections that are opened before the load and kept through it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LongConnections {
    /// How many; 0: none.
    pub connections: u32,
    /// Share of them that says nothing at all, not even a ping; the others send the load's messages.
    pub silent: f64,
    /// How long they are kept after the load has ended.
    pub stay: Duration,
}

impl Default for LongConnections {
    /// A handful, half of them silent, for no longer than the load takes.
    fn default() -> Self {
        Self { connections: 10, silent: 0.5, stay: Duration::ZERO }
    }
}

impl LongConnections {
    /// Those that speak, and those that are silent. Of both there is at least one where the share says so.
    pub fn sides(&self) -> (u32, u32) {
        let silent = (f64::from(self.connections) * self.silent).round() as u32;
        let least = u32::from(self.silent > 0.0 && self.connections > 0);
        let most = self.connections - u32::from(self.silent < 1.0 && self.connections > least);
        let silent = silent.clamp(least, most.max(least));
        (self.connections - silent, silent)
    }
}

impl Load {
    /// The long connections beside this load. Nobody has them who does not ask for them: a server that holds a number holds
    /// them too, and the load that many less.
    pub fn long_beside(&self) -> Option<LongConnections> {
        self.long.filter(|long| long.connections > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_add_up_and_neither_is_empty_unless_the_share_says_so() {
        let sides = |connections, silent| LongConnections { connections, silent, stay: Duration::ZERO }.sides();
        assert_eq!([sides(10, 0.5), sides(10, 0.0), sides(10, 1.0)], [(5, 5), (10, 0), (0, 10)]);
        assert_eq!([sides(10, 0.01), sides(10, 0.99), sides(1, 0.5), sides(0, 0.5)], [(9, 1), (1, 9), (0, 1), (0, 0)]);
    }

    #[test]
    fn only_who_asks_has_long_connections() {
        let long = |connections| Load {
            long: Some(LongConnections { connections, ..LongConnections::default() }),
            ..Load::default()
        };
        assert_eq!(Load::default().long_beside(), None);
        assert_eq!(long(0).long_beside(), None);
        assert_eq!(long(4).long_beside().map(|long| long.connections), Some(4));
    }
}
