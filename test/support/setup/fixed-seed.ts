import fc from 'fast-check';

/** The same examples in each run, so that the detection of a mutant does not depend on chance. */
fc.configureGlobal({ seed: 1 });
