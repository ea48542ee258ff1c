import { join } from 'node:path';
import { writeComposeSecrets } from './generate.js';
import { projectRoot } from '../settings/environment.js';

/** `npm run secrets`: generates the secrets of `docker-compose.yml` once. Git and the image build ignore the file. */
try {
  await writeComposeSecrets(join(projectRoot, '.env'));
  console.log(`Created .env, readable only by you. Its API_KEY belongs to the first caller, who has all roles. Next:

  docker compose up -d --build --wait
`);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  console.error('.env already exists and was not changed, because new passwords would not match existing databases.');
  process.exit(1);
}
