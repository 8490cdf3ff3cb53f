"""From a fitted network to ranked items: opening, generating, budgets, fetching."""
