import { join } from 'node:path';
import { writeComposeSecrets } from './generate.js';
import { projectRoot } from '../stack/settings/project.js';

/** `npm run secrets`: generates the secrets of `docker-compose.yml` once, in a file that git and images ignore. */
try {
  await writeComposeSecrets(join(projectRoot, '.env.secrets'));
  console.log(`Made .env.secrets, for you alone. API_KEY in it is the key of the first caller, who may do everything. Next:

  export COMPOSE_ENV_FILES=.env,.env.secrets
  docker compose up -d --build --wait
`);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  console.error(
    '.env.secrets is there already. Databases keep the passwords they were made with, so it stays as it is.',
  );
  process.exit(1);
}
