"""Learning from clicks how much each feature channel should count: weightings as the arms of a contextual bandit."""
