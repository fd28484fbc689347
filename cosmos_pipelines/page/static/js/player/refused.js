// A reason, in a sentence for people, why a video cannot be shown.
export class Refused extends Error {}
