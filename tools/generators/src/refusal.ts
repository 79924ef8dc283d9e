/** Why a generator does not do what it was asked for: a sentence for whoever asked. Nothing was written. */
export class Refusal extends Error {}
