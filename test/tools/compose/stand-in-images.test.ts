import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findStage } from '../../../tools/compose/stand-in-images.js';
import { readDockerfile } from '../../support/deploy/dockerfile.js';
import { resolveComposeFile } from '../../support/deploy/compose.js';
import { projectRoot } from '../../support/processes.js';

test('there is a stand-in for each image of another vendor', () => {
  const stages = readFileSync(join(projectRoot, 'tools/compose/stand-ins/Dockerfile'), 'utf8');
  const { stages: ownStages } = readDockerfile();
  const images = [
    ...Object.values(resolveComposeFile('docker-compose.yml').services).map(({ image }) => image),
    ...ownStages.map(({ from }) => from).filter((from) => from.includes(':')),
  ].filter((image) => !image.startsWith('workflow-orchestration-patterns'));

  expect(images.length).toBeGreaterThan(8);
  for (const image of images) expect(stages, image).toMatch(new RegExp(`^FROM \\S+ AS ${findStage(image)}$`, 'm'));
});

test('an image without a stand-in is an error', () => {
  expect(() => findStage('example/other:1')).toThrow('there is no stand-in for example/other:1');
});
