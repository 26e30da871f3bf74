// A complete AT Protocol network on loopback: directory 2582, personal data server 2583, app view 2584.
// It remembers nothing: each start begins with an empty world.
import process from 'node:process'
import { TestNetwork } from '@atproto/dev-env'

const appView = { port: 2584, publicUrl: 'http://localhost:2584', dbPostgresSchema: 'appview' }
const world = await TestNetwork.create({
  dbPostgresSchema: 'world',
  plc: { port: 2582 },
  pds: { port: 2583, hostname: 'localhost', enableDidDocWithSession: true },
  bsky: appView,
  ozone: { port: 2587 },
  introspect: { port: 2581 },
})

async function leave() {
  await world.close().catch((error) => console.error(error))
  process.exit(0)
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, leave)
console.log('the network is ready')
