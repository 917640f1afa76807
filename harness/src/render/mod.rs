//! Rendering: findings become static pages, plots and tables. No statistic is computed here.
