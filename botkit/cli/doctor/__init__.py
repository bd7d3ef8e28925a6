"""`botkit doctor`: what a careful person looks at before a bot runs, each thing by itself."""
