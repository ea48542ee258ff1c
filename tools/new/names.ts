/** The name of a new part in the forms that code, URLs and text use. */
export interface Name {
  /** For files, URLs and task queues: `price-alert`. */
  kebab: string;
  /** For values and workflow types: `priceAlert`. */
  camel: string;
  /** For types: `PriceAlert`. */
  pascal: string;
  /** For constants: `PRICE_ALERT`. */
  constant: string;
  /** For stages of the order: `price_alert`. */
  snake: string;
  /** For text: `price alert`. */
  words: string;
}

const MAX_LENGTH = 24;

/** Names that would hide a word of the language or a part that every feature shares. */
const RESERVED = new Set(
  `abstract activity any async await boolean break case catch class const continue contract debugger default delete do
  else enum error export extends false finally for function if implements import in index input instanceof interface let
  module new null number object operation package private protected public return schema shared signal static step store
  string super switch symbol test this throw true try type typeof undefined unknown update using var view void while with
  workflow yield`.split(/\s+/),
);

/**
 * Returns what is wrong with a name, or undefined for a valid name. Without `example`, the name must be a singular noun,
 * because the generator forms the plural.
 */
export function findNameProblem(name: string, example?: string): string | undefined {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name))
    return `must be in kebab case: small letters and digits, with - between words (example: ${example ?? 'price-alert'})`;
  if (name.length > MAX_LENGTH) return `must have at most ${MAX_LENGTH} characters, but has ${name.length}`;
  if (RESERVED.has(name)) return 'is a reserved word: choose a name from your domain (example: price-alert)';
  if (example === undefined && name.endsWith('s') && !/[isu]s$/.test(name))
    return 'must be singular, because the generator forms the plural (example: price-alert)';
  return undefined;
}

export function toName(kebab: string): Name {
  const words = kebab.split('-');
  const pascal = words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
  return {
    kebab,
    camel: pascal[0]!.toLowerCase() + pascal.slice(1),
    pascal,
    constant: words.join('_').toUpperCase(),
    snake: words.join('_'),
    words: words.join(' '),
  };
}

/** Returns the plural of a name: `price-alerts`, `entries`, `boxes`. */
export function pluralOf(kebab: string): string {
  if (kebab.endsWith('y') && !startsWithVowel(kebab.at(-2)!)) return kebab.replace(/y$/, 'ies');
  return /(s|x|z|ch|sh)$/.test(kebab) ? `${kebab}es` : `${kebab}s`;
}

const startsWithVowel = (word: string): boolean => 'aeiou'.includes(word[0]!);

/** The name in all templates. It has two words, so that its forms differ from each other. */
const TEMPLATE_NAME = 'sample-case';

/** Returns a function that replaces the name in a template, in all its forms. */
export function createRenderer(kebab: string): (template: string) => string {
  const pairs = [TEMPLATE_NAME, pluralOf(TEMPLATE_NAME)].flatMap((template, index) =>
    formsOf(template).map((form, position) => {
      const forms = formsOf(index === 0 ? kebab : pluralOf(kebab));
      return [form, forms[position]!] as const;
    }),
  );
  // The longest form comes first, because the plural starts with the singular.
  const replacements = new Map([...pairs].sort(([one], [other]) => other.length - one.length));
  const pattern = new RegExp([...replacements.keys()].join('|'), 'g');
  const needsAn = startsWithVowel(kebab) && !/^(uni|use|one|eu)/.test(kebab);
  return (template) => {
    const text = needsAn ? template.replaceAll(/\b([Aa]) (?=sample[ -]?case)/gi, '$1n ') : template;
    return text.replaceAll(pattern, (form) => replacements.get(form)!);
  };
}

function formsOf(kebab: string): string[] {
  const { camel, pascal, constant, snake, words } = toName(kebab);
  return [kebab, camel, pascal, constant, snake, words, words[0]!.toUpperCase() + words.slice(1)];
}
